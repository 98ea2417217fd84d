/**
 * One replication group in the zone layout, on direct links: a leader, two voting standbys and two
 * non-voters that stream from a voting standby (never from the leader, else they could run ahead of
 * the next leader).
 */
import { Server, until } from './postgres.ts';
import type { Settings } from './postgres.ts';

export interface ZoneGroup {
  readonly name: string;
  readonly leader: Server;
  readonly voters: readonly [Server, Server];
  readonly others: readonly [Server, Server];
  readonly all: readonly Server[];
}

/** `ANY 1` of the two other voters, the same on every voter at all times: no change in a failover. */
export function quorumOf(voters: readonly Server[], self: Server): Settings {
  const names = voters.filter((other) => other !== self).map((other) => `"${other.name}"`);
  return { synchronous_standby_names: `ANY 1 (${names.join(', ')})` };
}

export function follow(upstream: Server, self: Server): Settings {
  return {
    primary_conninfo:
      `host=127.0.0.1 port=${String(upstream.port)} user=postgres dbname=postgres ` +
      `application_name=${self.name} connect_timeout=3 keepalives=1`,
    primary_slot_name: self.name.replaceAll('-', '_'),
  };
}

export async function createSlot(on: Server, forServer: Server): Promise<void> {
  const slot = forServer.name.replaceAll('-', '_');
  await on.run(
    `select pg_create_physical_replication_slot('${slot}', true) where not exists
       (select from pg_replication_slots where slot_name = '${slot}')`,
  );
}

export async function streaming(upstream: Server, count: number): Promise<void> {
  await until(`${upstream.name} has ${String(count)} streaming`, async () => {
    const { n } = await upstream.one<{ n: string }>(
      `select count(*) n from pg_stat_replication where state = 'streaming'`,
    );
    return Number(n) >= count;
  });
}

/** initdb once, copy the stopped folder four times: the system identifier is the group's. */
export async function startZoneGroup(
  name: string,
  settings: Settings = {},
  voterRole: Settings = {},
): Promise<ZoneGroup> {
  const make = (suffix: string): Promise<Server> => Server.create(`${name}-${suffix}`, settings);
  const [a, b, c, d, e] = [
    await make('a'),
    await make('b'),
    await make('c'),
    await make('x'),
    await make('y'),
  ] as const;
  a.initdb();
  for (const copy of [b, c, d, e]) copy.copyFrom(a);
  for (const standby of [b, c, d, e]) standby.markStandby();
  const voting = [a, b, c];
  a.configure(quorumOf(voting, a));
  for (const voter of [b, c]) {
    voter.configure({ ...quorumOf(voting, voter), ...follow(a, voter), ...voterRole });
  }
  d.configure(follow(b, d));
  e.configure(follow(c, e));
  await Promise.all([a, b, c, d, e].map((server) => server.start()));
  for (const voter of [b, c]) await createSlot(a, voter);
  await createSlot(b, d);
  await createSlot(c, e);
  await streaming(a, 2);
  await streaming(b, 1);
  await streaming(c, 1);
  return { name, leader: a, voters: [b, c], others: [d, e], all: [a, b, c, d, e] };
}
