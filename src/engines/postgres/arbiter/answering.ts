/** Does a server answer at all? One that hangs accepts a connection and says nothing. */
import { withAdmin } from '../admin.ts';
import type { Cluster } from '../cluster.ts';

/** A busy one answers within it, a hung one never. */
const ANSWER_TIMEOUT_MS = 700;

export async function answersInTime(
  cluster: Cluster,
  name: string,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<boolean> {
  const asked = withAdmin(cluster.admin(name), (client) => client.query('SELECT 1'), {
    statementTimeoutMs: timeoutMs,
    connectTimeoutMs: timeoutMs,
  }).then(
    () => true,
    () => false,
  );
  const late = cluster.services.clock.sleep(timeoutMs).then(() => false);
  return Promise.race([asked, late]);
}
