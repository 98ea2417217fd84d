/** Reads and writes of the suite's own tables through an adapter's connector, straight to a chosen node. */
import type {
  Access,
  Connector,
  SessionTarget,
  SessionTransaction,
  TwoPhaseTransaction,
} from '../engines/connector.ts';
import type { DesiredState, Engine, EngineAdapter } from '../engines/engine.ts';
import type { Clock } from '../kernel/clock.ts';
import { present } from '../kernel/assert.ts';
import { isMeridianError } from '../kernel/errors.ts';
import { silentLog } from '../kernel/log.ts';
import { systemRandom } from '../kernel/random.ts';
import type { NodeName, NodeSpec } from '../topology/node.ts';
import type { Position } from '../topology/position.ts';
import { roundTripMs } from '../topology/region.ts';
import type { Address, RoutedNode } from '../topology/routing.ts';
import type { Account } from './schema.ts';
import type { ClusterShape } from './subject.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const CONFLICTS_MAX = 10;
const NEVER = new AbortController().signal;

/** What sessions need to know of the cluster; as it is at each call. */
export interface SessionsGround {
  readonly adapter: EngineAdapter;
  readonly engine: Engine;
  readonly desired: DesiredState;
  readonly shape: ClusterShape;
  readonly clock: Clock;
}

export interface Wanted {
  readonly maxStalenessMs?: number;
  readonly atLeast?: Position;
  readonly waitMs?: number;
}

export interface Seen {
  /** Undefined: there is no such item. */
  readonly amount: number | undefined;
  readonly position: Position;
}

export class Sessions implements AsyncDisposable {
  readonly #stage: SessionsGround;
  readonly connector: Connector;
  /** Begun and perhaps not ended: a law that is broken leaves off anywhere. */
  readonly #begun = new Set<SessionTransaction>();

  constructor(stage: SessionsGround, connectionsMax: number) {
    this.#stage = stage;
    this.connector = stage.adapter.connector({
      clock: stage.clock,
      random: systemRandom,
      log: silentLog,
      credentials: stage.engine.applicationCredentials(),
      applicationName: 'conformance',
      connectionsMax,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    });
  }

  groupOf(account: Account): string {
    const range = this.#stage.desired.ranges.find((one) => one.name === account.range);
    return present(range, `range ${account.range}`).group;
  }

  /** Of the account's group, farthest from its home last; as declared among equals. */
  followers(account: Account): NodeSpec[] {
    const { desired, shape, engine } = this.#stage;
    const group = this.groupOf(account);
    const spec = present(
      desired.groups.find((one) => one.name === group),
      `group ${group}`,
    );
    const leader = engine.routes().groups[group]?.leader;
    const home = present(spec.nodes[0], 'a node').locality;
    return spec.nodes
      .filter((node) => node.name !== leader)
      .toSorted(
        (a, b) =>
          roundTripMs(shape.latency, home, a.locality) -
          roundTripMs(shape.latency, home, b.locality),
      );
  }

  farthest(account: Account): NodeName {
    return present(this.followers(account).at(-1), 'a follower').name;
  }

  leader(account: Account): NodeName {
    const group = this.groupOf(account);
    return present(this.#stage.engine.routes().groups[group]?.leader, `a leader of ${group}`);
  }

  /** As a client in the node's own zone sees it: the distance that laws need is between nodes. */
  async route(name: NodeName, address?: Address): Promise<RoutedNode> {
    const { desired, engine } = this.#stage;
    const spec = present(
      desired.groups.flatMap((group) => group.nodes).find((node) => node.name === name),
      `node ${name}`,
    );
    const found = engine.routes().nodes.find((one) => one.node === name)?.address;
    const { kind, locality } = spec;
    return {
      ...{ name, kind, locality, roundTripMs: 0 },
      address: address ?? present(found, `an address of ${name}`),
    };
  }

  groupEpoch(account: Account): number {
    return present(this.#stage.engine.routes().groups[this.groupOf(account)], 'the group').epoch;
  }

  rangeEpoch(account: Account): number {
    return present(this.#stage.engine.routes().ranges[account.range], 'the range').epoch;
  }

  /** Several accounts make several scopes. */
  async target(
    accounts: readonly Account[],
    access: Access,
    node?: RoutedNode,
  ): Promise<SessionTarget> {
    const first = present(accounts[0], 'an account');
    return {
      node: node ?? (await this.route(this.leader(first))),
      group: this.groupOf(first),
      access,
      scopes: accounts.map((account) => ({
        range: { name: account.range, epoch: this.rangeEpoch(account) },
        account: account.id,
      })),
    };
  }

  writing(account: Account): Access {
    return { kind: 'write', groupEpoch: this.groupEpoch(account), global: false };
  }

  async open(
    target: SessionTarget,
    options: { readonly signal: AbortSignal },
  ): Promise<SessionTransaction> {
    const tx = await this.connector.begin(target, options);
    this.#begun.add(tx);
    return tx;
  }

  /** Of an engine with the verbs for it. */
  async openTwoPhase(account: Account): Promise<TwoPhaseTransaction> {
    const verbs = present(this.connector.twoPhase, 'the verbs of two-phase commit');
    const target = await this.target([account], this.writing(account));
    const tx = await verbs.begin(target, { signal: NEVER });
    this.#begun.add(tx);
    return tx;
  }

  async begin(...accounts: Account[]): Promise<SessionTransaction> {
    const access = this.writing(present(accounts[0], 'an account'));
    return this.open(await this.target(accounts, access), { signal: NEVER });
  }

  /** Acknowledged when it resolves. Conflicts are repeated: the server may find one where none is. */
  async put(account: Account, item: number, amount: number): Promise<Position> {
    for (let attempt = 1; ; attempt += 1) {
      const tx = await this.begin(account);
      try {
        await put(tx, 0, { account, item, amount });
        return await tx.commit();
      } catch (error) {
        const again = isMeridianError(error) && error.code === 'ERR_ENGINE_SERIALIZATION';
        if (!again || attempt === CONFLICTS_MAX) throw error;
      } finally {
        await tx.rollback();
      }
    }
  }

  strong(account: Account, item: number): Promise<Seen> {
    const access = { kind: 'strong-read', groupEpoch: this.groupEpoch(account) } as const;
    return this.#read(account, item, this.target([account], access));
  }

  replica(node: NodeName, account: Account, want: Wanted & { item: number }): Promise<Seen> {
    const target = this.route(node).then((route) =>
      this.target([account], replicaRead(this.groupEpoch(account), want), route),
    );
    return this.#read(account, want.item, target);
  }

  async #read(account: Account, item: number, target: Promise<SessionTarget>): Promise<Seen> {
    const tx = await this.open(await target, { signal: NEVER });
    try {
      const amount = await get(tx, 0, { account, item });
      return { amount, position: await tx.commit() };
    } finally {
      await tx.rollback();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#begun].map((tx) => tx.rollback()));
    await this.connector[Symbol.asyncDispose]();
  }
}

/** Far more than a replica that runs needs to answer. */
const PATIENCE_MS = 10_000;

export function replicaRead(groupEpoch: number, want: Wanted): Access {
  return {
    ...{ kind: 'replica-read', groupEpoch, maxStalenessMs: want.maxStalenessMs },
    ...{ atLeast: want.atLeast, waitMs: want.waitMs ?? 0, patienceMs: PATIENCE_MS },
  };
}

export async function put(
  tx: SessionTransaction,
  scope: number,
  row: { readonly account: Account; readonly item: number; readonly amount: number },
): Promise<void> {
  await tx.query(scope, {
    text: `INSERT INTO item (account_id, id, amount) VALUES ($1, $2, $3)
           ON CONFLICT (account_id, id) DO UPDATE SET amount = excluded.amount`,
    values: [row.account.id, row.item, row.amount],
  });
}

export async function get(
  tx: SessionTransaction,
  scope: number,
  row: { readonly account: Account; readonly item: number },
): Promise<number | undefined> {
  const result = await tx.query(scope, {
    text: 'SELECT amount FROM item WHERE account_id = $1 AND id = $2',
    values: [row.account.id, row.item],
  });
  const found = result.rows[0] as { amount: unknown } | undefined;
  return found === undefined ? undefined : Number(found.amount);
}
