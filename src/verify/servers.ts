/**
 * Database servers as their administrator sees them, past routes, fences and emulated distance: for
 * comparing copies, and for doing what an administrator might do at the wrong moment.
 */
import type pg from 'pg';
import type { Clock } from '../kernel/clock.ts';
import type { Platform } from '../platform-api.ts';
import { withAdmin } from '../engines/postgres/admin.ts';
import { readSecrets } from '../engines/postgres/secrets.ts';
import { present } from '../kernel/assert.ts';

export interface Servers {
  /** The rows of one statement. Rejects when the server does not answer in time. */
  query<Row extends object>(node: string, text: string): Promise<readonly Row[]>;
  use<T>(node: string, run: (client: pg.Client) => Promise<T>): Promise<T>;
}

/** Asked again and again, each over a connection of its own, until the signal fires. */
export interface Watch {
  readonly nodes: readonly string[];
  readonly servers: Servers;
  readonly clock: Clock;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
}

const STATEMENT_TIMEOUT_MS = 20_000;
/** Until a server that did not answer is asked again. */
const AGAIN_MS = 1_000;

export async function serversOf(platform: Platform, dataDirectory: string): Promise<Servers> {
  const secrets = present(await readSecrets(dataDirectory), 'the passwords of the cluster');
  const { nodes } = await platform.status();
  // A server keeps its port, whatever becomes of its process and its data.
  const ports = new Map(nodes.map(({ name, port }) => [name, port]));
  const use: Servers['use'] = (node, run) =>
    withAdmin(
      { node, port: present(ports.get(node), `server ${node}`), password: secrets.administrator },
      run,
      { statementTimeoutMs: STATEMENT_TIMEOUT_MS },
    );
  return {
    use,
    query: <Row extends object>(node: string, text: string) =>
      use(node, async (client) => (await client.query(text)).rows as Row[]),
  };
}

/** A server that does not answer is asked again later: nothing is concluded from silence. */
export async function watchServers(
  { nodes, servers, clock, signal }: Watch,
  intervalMs: number,
  look: (node: string, client: pg.Client) => Promise<void>,
): Promise<void> {
  const watchNode = async (node: string): Promise<void> => {
    while (!signal.aborted) {
      try {
        await servers.use(node, async (client) => {
          while (!signal.aborted) {
            await look(node, client);
            await clock.sleep(intervalMs, signal).catch(() => {});
          }
        });
      } catch {
        // Down, or silent for longer than a statement may take.
        await clock.sleep(AGAIN_MS, signal).catch(() => {});
      }
    }
  };
  await Promise.all(nodes.map(watchNode));
}
