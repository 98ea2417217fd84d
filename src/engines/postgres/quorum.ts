/**
 * A commit that waits for the quorum. When it resolves, everything that the leader had written before
 * is on the disk of another voter too: a voter confirms positions, not transactions.
 */
import type pg from 'pg';
import { MeridianError } from '../../kernel/errors.ts';
import { withAdmin } from './admin.ts';
import { socketOf } from './closing.ts';
import type { Cluster } from './cluster.ts';
import type { ClusterGroup } from './cluster-state.ts';

/** Two voters that are well confirm within a second, whatever the distance. */
const QUORUM_TIMEOUT_MS = 10_000;

/** Nothing but a confirmation: the epoch is written as it is. */
export async function confirmedByQuorum(cluster: Cluster, group: ClusterGroup): Promise<void> {
  await withAdmin(cluster.admin(group.leader), (client) =>
    quorumCommit(cluster, group, {
      client,
      text: 'UPDATE meridian.group_state SET epoch = epoch',
      values: [],
    }),
  );
}

/** Rejects when the quorum does not confirm it in time; the connection is then of no more use. */
export async function quorumCommit(
  cluster: Cluster,
  group: ClusterGroup,
  commit: {
    readonly client: pg.Client;
    readonly text: string;
    readonly values: readonly unknown[];
  },
): Promise<void> {
  let cancelled = false;
  const { client } = commit;
  const onNotice = (notice: { code?: string | undefined }): void => {
    // 01000: the wait for the quorum was cancelled. The commit is local only.
    if (notice.code === '01000') cancelled = true;
  };
  client.on('notice', onNotice);
  const timer = cluster.services.clock.schedule(QUORUM_TIMEOUT_MS, () => {
    socketOf(client).destroy();
  });
  try {
    await client.query('SET synchronous_commit = on');
    await client.query(commit.text, [...commit.values]);
  } finally {
    timer();
    client.off('notice', onNotice);
  }
  if (cancelled) {
    throw new MeridianError(
      'ERR_ENGINE_UNAVAILABLE',
      `the quorum of ${group.spec.name} did not confirm a commit`,
    );
  }
}
