/**
 * Entry of the WAN's own process: requests come over the process channel, one reply each, in order.
 *
 * It is a process of its own so that the supervisor's work never delays anybody's bytes. It ends when
 * the channel closes, hence also when the supervisor was killed. Ctrl-C reaches the whole terminal's
 * group: it is ignored here, because the servers that stop in an orderly way still need their links.
 */
import { systemClock } from '../kernel/clock.ts';
import { isMeridianError, messageOf } from '../kernel/errors.ts';
import { createLog } from '../kernel/log.ts';
import { LinkTable } from './link-table.ts';
import type { WanReply, WanRequest } from './messages.ts';

const log = createLog({
  clock: systemClock,
  level: 'info',
  write: (line) => process.stdout.write(line),
  fields: { process: 'wan' },
});

const table = new LinkTable(systemClock);
let last: Promise<void> = Promise.resolve();

async function answer(request: WanRequest): Promise<void> {
  let reply: WanReply;
  try {
    reply = { id: request.id, result: await table.handle(request) };
    if (request.verb !== 'links' && request.verb !== 'link') {
      const { id: _, ...call } = request;
      log.info('the WAN was changed', call);
    }
  } catch (cause) {
    const { code, message, remedy } = isMeridianError(cause)
      ? cause
      : {
          code: 'ERR_INTERNAL' as const,
          message: messageOf(cause),
          remedy: 'Report this as a bug.',
        };
    log.error('a request to the WAN failed', { verb: request.verb, code, error: message });
    reply = { id: request.id, error: { code, message, remedy } };
  }
  process.send?.(reply);
}

process.on('message', (message) => {
  last = last.then(() => answer(message as WanRequest));
});
process.on('disconnect', () => {
  process.exit(0);
});
process.on('SIGTERM', () => {
  process.exit(0);
});
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('uncaughtException', (error) => {
  log.error('the WAN broke', { error: error.stack ?? error.message });
  process.exit(1);
});
if (process.send === undefined) {
  log.error('the WAN needs a process channel: it is started by the supervisor, not by hand');
  process.exit(1);
}
log.info('the WAN runs', { pid: process.pid });
