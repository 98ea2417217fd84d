/**
 * Who leads each group, as the newest view tells, and when that has ended: at a higher epoch, or at
 * another node. Then every connection to the former leader is given up, since a partitioned or hung one
 * closes nothing: what ran on it fails at once instead of at its deadline.
 *
 * A view without a leader, of the same epoch, ends nothing: in a switchover what is under way is allowed to
 * finish, and one that is called off leaves the leader as it was.
 *
 * But it is a good moment to dial those that may lead next, where that takes several long round trips: they
 * pass while the leader is changed, and not after.
 *
 * One listener for all calls of a client; a call pays one comparison.
 */
import type { ControlSubscription } from '../control/subscription.ts';
import type { Connector, SessionTarget } from '../engines/connector.ts';
import { MeridianError } from '../kernel/errors.ts';
import type { GroupName } from '../topology/position.ts';
import type { RoutedNode, RoutingView } from '../topology/routing.ts';

/** The last leader known of a group. */
export interface Reign {
  readonly epoch: number;
  readonly leader: RoutedNode;
}

export type Reigns = ReadonlyMap<GroupName, Reign>;

/** The answer to a commit that was made before the end is at most half of one round trip away. */
const GRACE_ROUND_TRIPS = 1;
const GRACE_SLACK_MS = 50;
/** Nearer ones are dialled when they lead: on one machine, that costs them more time than it saves. */
const FAR_MS = 20;

/** What a newer view makes of the reigns known, and which of them it ends. Pure. */
export function succeed(
  known: Reigns,
  view: Pick<RoutingView, 'groups'>,
): { readonly reigns: Reigns; readonly ended: readonly Reign[] } {
  const reigns = new Map<GroupName, Reign>();
  const ended: Reign[] = [];
  for (const [name, before] of known) {
    const group = view.groups[name];
    const leader = group?.nodes.find((node) => node.name === group.leader);
    const over =
      group === undefined ||
      group.epoch > before.epoch ||
      (leader !== undefined && !sameNode(leader, before.leader));
    if (over) ended.push(before);
    else reigns.set(name, before);
  }
  for (const [name, group] of Object.entries(view.groups)) {
    const leader = group.nodes.find((node) => node.name === group.leader);
    if (leader !== undefined && !reigns.has(name)) reigns.set(name, { epoch: group.epoch, leader });
  }
  return { reigns, ended };
}

/** Of groups without a leader: the far ones of those that may lead next. Pure. */
export function candidates(
  known: Reigns,
  view: Pick<RoutingView, 'groups'>,
): ReadonlyMap<GroupName, readonly RoutedNode[]> {
  const found = new Map<GroupName, readonly RoutedNode[]>();
  for (const [name, { leader }] of known) {
    const group = view.groups[name];
    if (group === undefined || group.leader !== undefined) continue;
    const voters = group.nodes.filter(({ kind }) => kind === 'voter');
    const far = voters.filter(({ roundTripMs }) => roundTripMs >= FAR_MS);
    found.set(
      name,
      far.filter((node) => node.name !== leader.name),
    );
  }
  return found;
}

/** Leaders of ranges that are about to go, and of the groups that they go to; each pair once. Pure. */
export function handovers(
  view: Pick<RoutingView, 'groups' | 'ranges'>,
): readonly { readonly from: RoutedNode; readonly to: RoutedNode }[] {
  const leaderOf = (name: GroupName): RoutedNode | undefined => {
    const group = view.groups[name];
    return group?.nodes.find((node) => node.name === group.leader);
  };
  const found = new Map<string, { readonly from: RoutedNode; readonly to: RoutedNode }>();
  for (const { group, goingTo } of Object.values(view.ranges)) {
    const [from, to] = [leaderOf(group), goingTo === undefined ? undefined : leaderOf(goingTo)];
    if (from !== undefined && to !== undefined) found.set(`${from.name} ${to.name}`, { from, to });
  }
  return [...found.values()];
}

/** Gives up the connections of ended reigns, and dials who may follow, until it is told to stop. */
export function followLeaders(services: {
  readonly control: Pick<ControlSubscription, 'view' | 'onView'>;
  readonly connector: Pick<Connector, 'forget' | 'warm'>;
}): () => void {
  let { reigns } = succeed(new Map(), services.control.view);
  let vacant: ReadonlyMap<GroupName, unknown> = new Map();
  return services.control.onView((view) => {
    const open = candidates(reigns, view);
    for (const [name, nodes] of open) {
      const former = reigns.get(name)?.leader;
      if (former !== undefined && !vacant.has(name)) services.connector.warm(nodes, former);
    }
    vacant = open;
    for (const { from, to } of handovers(view)) services.connector.warm([to], from);
    const next = succeed(reigns, view);
    ({ reigns } = next);
    for (const { leader } of next.ended) {
      const graceMs = GRACE_ROUND_TRIPS * leader.roundTripMs + GRACE_SLACK_MS;
      services.connector.forget(leader, graceMs);
    }
  });
}

/** Does the view still say what the target was made from? Pure; replicas need not lead. */
export function leads(view: RoutingView, { access, group, node }: SessionTarget): boolean {
  if (access.kind === 'replica-read') return true;
  const now = view.groups[group];
  return now?.epoch === access.groupEpoch && (now.leader ?? node.name) === node.name;
}

/** Throws ERR_ENGINE_STALE_ROUTE: connecting to a former leader might take until the deadline. */
export function checkLeads(view: RoutingView, target: SessionTarget): void {
  if (leads(view, target)) return;
  throw new MeridianError(
    'ERR_ENGINE_STALE_ROUTE',
    `${target.node.name} no longer leads ${target.group} at the epoch of the route`,
  );
}

function sameNode(a: RoutedNode, b: RoutedNode): boolean {
  return (
    a.name === b.name && a.address.host === b.address.host && a.address.port === b.address.port
  );
}
