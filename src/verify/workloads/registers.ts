/**
 * One register an account, written and swapped from every region, and read in every way: strong,
 * bounded, and with the client's token. Beside the mixed clients there is a reader in each zone that
 * only asks its own region's leaders, again and again: whoever is cut off together with an old leader
 * goes on asking it, which is what a missing lease would answer.
 */
import type { Random } from '../../kernel/random.ts';
import { mergeTokens, type Token } from '../../topology/position.ts';
import type { Door } from '../doors.ts';
import type { Action, Asked } from '../history.ts';
import { between } from '../seed.ts';
import { nearby, type Ground, type LoadClient, type Workload } from './workload.ts';

const STALENESS_MIN_MS = 500;
const STALENESS_MAX_MS = 2_000;
/** Of all operations of a client, how many stay in its region. */
const OWN_REGION = 0.6;

interface Client {
  readonly name: string;
  readonly door: Door;
  readonly random: Random;
  readonly ground: Ground;
  token: Token;
  /** By register: what it saw last, to swap it. */
  readonly seen: Map<string, number | null>;
}

export const registers: Workload = {
  name: 'registers',
  actions: ['register-read', 'register-write', 'register-swap'],
  accountsPerRegion: 3,
  movable: true,
  openedWith: 0,
  open: async (tx, account) => {
    await tx.query('INSERT INTO register (account_id, value) VALUES ($1, NULL)', [account]);
  },
  clients: (ground) =>
    ground.regions.flatMap(({ region, gateway, libraries }) => [
      ...[0, 1].map((number) => mixed(ground, gateway, `registers.${region}.${String(number)}`)),
      ...libraries.flatMap((door, zone) => [
        reader(ground, door, `registers.${region}.reader.${String(zone)}`),
        ...(zone < 2 ? [mixed(ground, door, `registers.${region}.library.${String(zone)}`)] : []),
      ]),
    ]),
};

function clientOf(ground: Ground, door: Door, name: string): Client {
  return { name, door, ground, random: ground.random(name), token: '', seen: new Map() };
}

function mixed(ground: Ground, door: Door, name: string): LoadClient {
  const client = clientOf(ground, door, name);
  return {
    name,
    thinkMs: 80,
    step: () => {
      const { region } = door;
      const { id } = nearby(ground, { region, random: client.random, share: OWN_REGION });
      return perform(client, choose(client, id));
    },
  };
}

function reader(ground: Ground, door: Door, name: string): LoadClient {
  const client = clientOf(ground, door, name);
  return {
    name,
    thinkMs: 90,
    step: () => {
      const { region } = door;
      const { id } = nearby(ground, { region, random: client.random, share: 1 });
      return perform(client, { kind: 'register-read', register: id, asked: { kind: 'strong' } });
    },
  };
}

function choose(client: Client, register: string): Action {
  const { random, ground } = client;
  const roll = random.next();
  if (roll < 0.6) return { kind: 'register-read', register, asked: freshness(client, roll / 0.6) };
  const value = ground.nextValue();
  if (roll < 0.85) return { kind: 'register-write', register, value };
  const expected = client.seen.get(register) ?? null;
  return { kind: 'register-swap', register, expected, value };
}

function freshness(client: Client, roll: number): Asked {
  if (roll < 0.5) return { kind: 'strong' };
  if (roll < 0.75 || client.token === '') {
    const maxStalenessMs = between(client.random, STALENESS_MIN_MS, STALENESS_MAX_MS);
    return { kind: 'bounded', maxStalenessMs };
  }
  return { kind: 'token', token: client.token };
}

async function perform(client: Client, asked: Action): Promise<void> {
  const who = { client: client.name, door: client.door };
  const { action, outcome, token } = await client.ground.recorder.run(who, asked, async () => ({
    answer: await client.door.send(asked),
  }));
  if (outcome !== 'ok') return;
  // A read of the past must not be forgotten either: a later token read never goes behind it.
  if (token !== undefined && token !== '') client.token = mergeTokens(client.token, token);
  if (action.kind === 'register-write') client.seen.set(action.register, action.value);
  if (action.kind === 'register-read') client.seen.set(action.register, action.value ?? null);
  if (action.kind === 'register-swap' && action.swapped === true) {
    client.seen.set(action.register, action.value);
  }
}
