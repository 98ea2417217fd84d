/**
 * Transactions that append to lists and read them, over one to three accounts of one group: what the
 * anomalies of Adya and Elle are found with. A list is left alone once it is long, so that reading it
 * does not grow without end.
 */
import type { Random } from '../../kernel/random.ts';
import type { Door } from '../doors.ts';
import type { ListStep } from '../history.ts';
import { between } from '../seed.ts';
import { nearby, type Ground, type LoadClient, type Workload } from './workload.ts';

/** Appends to one list, sent. */
const LIST_LENGTH_MAX = 40;
const STEPS_MAX = 4;
const ACCOUNTS_MAX = 3;

/** Which list of an account is in use: shared by all clients. */
class Lists {
  readonly #appends = new Map<string, number>();

  key(account: string): string {
    const appends = this.#appends.get(account) ?? 0;
    return `${account}#${String(Math.floor(appends / LIST_LENGTH_MAX))}`;
  }

  appending(account: string): void {
    this.#appends.set(account, (this.#appends.get(account) ?? 0) + 1);
  }
}

export const lists: Workload = {
  name: 'lists',
  actions: ['list'],
  accountsPerRegion: 3,
  openedWith: 0,
  open: async () => {},
  clients: (ground) => {
    const shared = new Lists();
    return ground.regions.flatMap(({ region, gateway, libraries }) =>
      [gateway, ...libraries.slice(0, 1)].map((door) =>
        client({ ground, door, shared, name: `lists.${region}.${door.via}` }),
      ),
    );
  },
};

function client(parts: {
  readonly ground: Ground;
  readonly door: Door;
  readonly shared: Lists;
  readonly name: string;
}): LoadClient {
  const { ground, door, name } = parts;
  const random = ground.random(name);
  return {
    name,
    thinkMs: 90,
    step: async () => {
      const action = { kind: 'list', steps: stepsOf(parts, random) } as const;
      await ground.recorder.run({ client: name, door }, action, async () => ({
        answer: await door.send(action),
      }));
    },
  };
}

function stepsOf(
  {
    ground,
    door,
    shared,
  }: { readonly ground: Ground; readonly door: Door; readonly shared: Lists },
  random: Random,
): ListStep[] {
  const { group } = nearby(ground, { region: door.region, random, share: 0.6 });
  const inGroup = ground.accounts.filter((account) => account.group === group);
  const from = random.below(inGroup.length);
  const count = between(random, 1, Math.min(ACCOUNTS_MAX, inGroup.length));
  const chosen = Array.from({ length: count }, (_, index) => {
    return inGroup[(from + index) % inGroup.length]?.id ?? '';
  });
  const steps = between(random, count, STEPS_MAX);
  return Array.from({ length: steps }, (_, index): ListStep => {
    const account = chosen[index % count] ?? '';
    if (random.next() < 0.5) return { kind: 'read', key: shared.key(account) };
    const key = shared.key(account);
    shared.appending(account);
    return { kind: 'append', key, value: ground.nextValue() };
  });
}
