/** A status report as a person reads it. Pure. */
import type { GroupStatus, NodeStatus, ProcessStatus, StatusReport } from '../control/status.ts';
import { leaseLines, underWayLines } from './group-text.ts';
import { drainLines, rehomingLines } from './placement-text.ts';
import { formatBytes, formatMs, formatTable, type Column } from './output.ts';

const orDash = (value: number | string | null): string => (value === null ? '-' : String(value));

const GROUPS: readonly Column<GroupStatus>[] = [
  { title: 'GROUP', text: (group) => group.name },
  {
    title: 'HOME',
    text: ({ homeRegion, residency }) =>
      residency === null ? homeRegion : `${homeRegion} (${residency})`,
  },
  { title: 'LEADER', text: (group) => group.leader ?? '(none)' },
  { title: 'EPOCH', align: 'right', text: (group) => String(group.epoch) },
  { title: 'ACCOUNTS', align: 'right', text: (group) => orDash(group.accounts) },
  { title: 'GLOBAL LAG', align: 'right', text: (group) => formatBytes(group.globalLagBytes) },
  { title: 'RANGES', text: (group) => ranges(group.ranges) },
];

/** A few by name, many by count. */
function ranges(names: readonly string[]): string {
  const [first] = names;
  if (names.length <= 4) return names.join(' ') || '(none)';
  return `${first ?? ''} … ${names.at(-1) ?? ''} (${String(names.length)})`;
}

const NODES: readonly Column<NodeStatus>[] = [
  { title: 'NODE', text: (node) => node.name },
  { title: 'REGION/ZONE', text: (node) => `${node.region}/${node.zone}` },
  { title: 'KIND', text: (node) => node.kind },
  { title: 'STATE', text: (node) => node.state },
  { title: 'POSITION', align: 'right', text: (node) => orDash(node.position) },
  { title: 'LAG', align: 'right', text: (node) => formatBytes(node.lagBytes) },
  { title: 'LAG TIME', align: 'right', text: (node) => formatMs(node.lagMs) },
  { title: 'PORT', align: 'right', text: (node) => String(node.port) },
  { title: 'PID', align: 'right', text: (node) => orDash(node.pid) },
];

const processes = (title: string): readonly Column<ProcessStatus>[] => [
  { title, text: (item) => item.name },
  { title: 'REGION/ZONE', text: (item) => `${item.region}/${item.zone}` },
  { title: 'STATE', text: (item) => item.state },
  { title: 'RESTARTS', align: 'right', text: (item) => String(item.restarts) },
  { title: 'PORT', align: 'right', text: (item) => String(item.port) },
  { title: 'PID', align: 'right', text: (item) => orDash(item.pid) },
];

interface RegionLine {
  readonly name: string;
  readonly zones: string;
  readonly nodes: string;
  readonly leaders: string;
  readonly gateways: string;
  readonly appServers: string;
}

const REGIONS: readonly Column<RegionLine>[] = [
  { title: 'REGION', text: (line) => line.name },
  { title: 'ZONES', text: (line) => line.zones },
  { title: 'NODES UP', align: 'right', text: (line) => line.nodes },
  { title: 'LEADERS', align: 'right', text: (line) => line.leaders },
  { title: 'GATEWAYS', align: 'right', text: (line) => line.gateways },
  { title: 'APP SERVERS', align: 'right', text: (line) => line.appServers },
];

const upOf = <T>(items: readonly T[], up: (item: T) => boolean): string =>
  `${String(items.filter(up).length)}/${String(items.length)}`;

function regionLines(report: StatusReport): RegionLine[] {
  const ready = (item: ProcessStatus): boolean => item.state === 'ready';
  return report.regions.map(({ name, zones }) => {
    const here = <T extends { readonly region: string }>(items: readonly T[]): T[] =>
      items.filter((item) => item.region === name);
    const nodes = here(report.nodes);
    return {
      name: name === report.primaryRegion ? `${name} *` : name,
      zones: zones.join(' '),
      nodes: upOf(nodes, (node) => node.state === 'leader' || node.state === 'streaming'),
      leaders: String(nodes.filter((node) => node.state === 'leader').length),
      gateways: upOf(here(report.gateways), ready),
      appServers: upOf(here(report.appServers), ready),
    };
  });
}

/** Only where there are some: rows they changed are locked until they are decided. */
function inDoubtLines(groups: readonly GroupStatus[]): string[] {
  return groups.flatMap(({ name, inDoubt }) => {
    if (inDoubt === null || inDoubt.count === 0) return [];
    const { count, oldestMs } = inDoubt;
    return [
      `in doubt in ${name}: ${String(count)} prepared transaction${count === 1 ? '' : 's'}, oldest ${formatMs(oldestMs)}`,
    ];
  });
}

export function statusText(report: StatusReport): string {
  const head =
    `${report.engine}, survives the loss of a ${report.survive}, up since ${report.startedAt}` +
    ` (supervisor ${String(report.supervisorPid)})`;
  const faults = report.faults.map(({ id, summary }) => `fault on purpose ${id}: ${summary}`);
  const sections = [
    [head, ...faults],
    [...formatTable(regionLines(report), REGIONS), '* primary region'],
    [
      ...formatTable(report.groups, GROUPS),
      ...underWayLines(report.groups, report.nodes, report.transfers),
      ...inDoubtLines(report.groups),
      ...drainLines(report.drains),
      ...rehomingLines(report.rehoming),
    ],
    leaseLines(report.groups),
    formatTable(report.nodes, NODES),
    formatTable(report.gateways, processes('GATEWAY')),
    ...(report.appServers.length > 0
      ? [formatTable(report.appServers, processes('APP SERVER'))]
      : []),
  ];
  const shown = sections.filter((lines) => lines.length > 0);
  return `${shown.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}
