/**
 * Makes the elected standby the leader. Its predecessor may still serve strong reads until its lease has
 * run out, so that is waited for, unless the predecessor is known to be dead.
 */
import { waitUntil } from '../../../kernel/clock.ts';
import type { GroupEvent } from './group-machine.ts';
import { ended } from './lease.ts';
import type { Leading } from './leading.ts';
import { putQuorumInForce } from './quorum-in-force.ts';
import { ensureRunning } from './running.ts';

const PROMOTE_TIMEOUT_MS = 10_000;
const POLL_MS = 5;
/** For the end of a predecessor that was told to end at once. */
const DEATH_WAIT_MS = 500;

export async function promoteLeader(of: Leading): Promise<GroupEvent> {
  const { group } = of;
  const { cluster } = of.services;
  const { clock, log } = cluster.services;
  await ensureRunning(cluster, group.leader);
  await putQuorumInForce(cluster, group.leader);
  await outliveLease(of);
  return cluster.looks.look(cluster.admin(group.leader), async (client): Promise<GroupEvent> => {
    const inRecovery = async (): Promise<boolean> => {
      const { rows } = await client.query<{ yes: boolean }>('SELECT pg_is_in_recovery() AS yes');
      return rows[0]?.yes === true;
    };
    if (!(await inRecovery())) return 'promoted';
    await client.query('SELECT pg_promote(false)');
    const wait = { timeoutMs: PROMOTE_TIMEOUT_MS, intervalMs: POLL_MS };
    await waitUntil(
      clock,
      { what: `${group.leader} to be promoted`, ...wait, signal: cluster.stopSignal },
      async () => ((await inRecovery()) ? undefined : true),
    );
    log.info('promoted', { group: group.spec.name, node: group.leader });
    return 'promoted';
  });
}

/** The holder is this leader itself, is dead, or its lease has run out. */
async function outliveLease(of: Leading): Promise<void> {
  const { group } = of;
  const { cluster } = of.services;
  const { clock } = cluster.services;
  const { holder } = group.lease;
  if (holder === group.leader) return;
  if (cluster.reaches(holder)) {
    const { process } = cluster.node(holder);
    // A hung one is ended, if its machine obeys.
    process?.signalTree('SIGKILL');
    if (process !== undefined) await Promise.race([process.exited, clock.sleep(DEATH_WAIT_MS)]);
    if (!cluster.runs(holder)) {
      group.lease = ended(group.lease, clock.monotonicMs());
      return;
    }
  }
  const leftMs = group.lease.goneByMs - clock.monotonicMs();
  if (leftMs <= 0) return;
  of.detail = `waits for the lease of ${holder} to run out`;
  await clock.sleep(leftMs, cluster.stopSignal);
}
