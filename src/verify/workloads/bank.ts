/**
 * Money that moves: within a group, over groups (two-phase commit), and with idempotency keys, under
 * which a transfer is sent again, with the same key, when its answer was lost or refused, and now and
 * then after it was answered.
 *
 * The first accounts of a region only pay each other, within their group: their total never changes, and
 * is read in one transaction meanwhile. The others pay over groups.
 */
import type { Random } from '../../kernel/random.ts';
import { present } from '../../kernel/assert.ts';
import type { Answer, Door } from '../doors.ts';
import type { Action } from '../history.ts';
import type { Ended } from '../recorder.ts';
import { between, pick } from '../seed.ts';
import { nearby, type Account, type Ground, type LoadClient, type Workload } from './workload.ts';

const OPENED_WITH = 1_000;
const INNER_PER_REGION = 3;
const OUTER_PER_REGION = 2;
const SENDINGS_MAX = 4;
/** From the first sending of a key to the last. */
const SENDING_MS_MAX = 10_000;
const PAUSE_MS = 150;

type Transfer = Extract<Action, { readonly kind: 'transfer' }>;

interface Client {
  readonly name: string;
  readonly ground: Ground;
  readonly door: Door;
  readonly random: Random;
}

export const bank: Workload = {
  name: 'bank',
  actions: ['transfer', 'balances'],
  accountsPerRegion: INNER_PER_REGION + OUTER_PER_REGION,
  openedWith: OPENED_WITH,
  open: async (tx, account) => {
    const values = [account, OPENED_WITH];
    await tx.query('INSERT INTO purse (account_id, balance) VALUES ($1, $2)', values);
  },
  clients: (ground) =>
    ground.regions.flatMap(({ region, gateway, libraries }) =>
      [gateway, gateway, ...libraries.slice(-1)].map((door, index) => {
        const name = `bank.${region}.${door.via}.${String(index)}`;
        return client({ name, ground, door, random: ground.random(name) });
      }),
    ),
};

function client(of: Client): LoadClient {
  return {
    name: of.name,
    thinkMs: 130,
    step: async () => {
      const action = choose(of);
      await of.ground.recorder.run({ client: of.name, door: of.door }, action, () =>
        action.kind === 'transfer' && action.key !== undefined
          ? sendKeyed(of, { ...action, key: action.key })
          : of.door.send(action).then((answer) => ({ answer })),
      );
    },
  };
}

function choose({ name, ground, door, random }: Client): Action {
  const { region } = door;
  const roll = random.next();
  const over = roll < 0.3;
  const paying = ground.accounts.filter((account) => isInner(account) !== over);
  const from = nearby({ accounts: paying }, { region, random, share: 0.7 });
  const inGroup = paying.filter((account) => account.group === from.group);
  if (roll > 0.65) {
    // The accounts that are asked for stand where their balances will.
    const balances = Object.fromEntries(inGroup.map(({ id }) => [id, 0]));
    return { kind: 'balances', group: from.group, balances };
  }
  const others = over
    ? paying.filter((account) => account.group !== from.group)
    : inGroup.filter((account) => account.id !== from.id);
  const to = present(pick(random, others), 'another account');
  const id = `${name}/${String(ground.nextValue())}`;
  const keyed = door.via === 'gateway' || random.next() < 0.5;
  return {
    kind: 'transfer',
    id,
    from: from.id,
    to: to.id,
    amount: between(random, 1, 20),
    ...(keyed ? { key: id } : {}),
  };
}

function isInner({ id }: Account): boolean {
  return Number(id.split('-').at(-1)) < INNER_PER_REGION;
}

async function sendKeyed(
  { ground, door, random }: Client,
  action: Transfer & { readonly key: string },
): Promise<Ended> {
  const endMs = ground.recorder.nowMs() + SENDING_MS_MAX;
  const oncemore = random.next() < 0.25;
  const answers: string[] = [];
  let told: Answer | undefined;
  let doubt: Answer | undefined;
  for (let sending = 1; sending <= SENDINGS_MAX; sending += 1) {
    const answer = await door.send(action, action.key);
    if (answer.outcome === 'ok') {
      answers.push(...answersOf(answer.action));
      told = answer;
      if (!oncemore || answers.length > 1) break;
    } else {
      if (answer.outcome === 'unknown') doubt = answer;
      // One that was answered stays answered, whatever became of asking again.
      told ??= answer;
      if (answers.length > 0 || answer.code === 'REFUSED') break;
      await ground.clock.sleep(PAUSE_MS * sending);
    }
    if (ground.recorder.nowMs() > endMs) break;
  }
  const last = present(told, 'an answer');
  const answer = answers.length > 0 ? last : (doubt ?? last);
  return { answer, action: { ...action, ...(answers.length > 0 ? { answers } : {}) } };
}

function answersOf(action: Action): readonly string[] {
  return action.kind === 'transfer' ? (action.answers ?? []) : [];
}
