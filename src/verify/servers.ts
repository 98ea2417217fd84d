/**
 * Database servers as their administrator sees them, past routes, fences and emulated distance: for
 * comparing copies, and for doing what an administrator might do at the wrong moment.
 */
import type pg from 'pg';
import type { Platform } from '../platform-api.ts';
import { withAdmin } from '../engines/postgres/admin.ts';
import { readSecrets } from '../engines/postgres/secrets.ts';
import { present } from '../kernel/assert.ts';

export interface Servers {
  /** The rows of one statement. Rejects when the server does not answer in time. */
  query<Row extends object>(node: string, text: string): Promise<readonly Row[]>;
  use<T>(node: string, run: (client: pg.Client) => Promise<T>): Promise<T>;
}

const STATEMENT_TIMEOUT_MS = 20_000;

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
