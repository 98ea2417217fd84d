/** What faults on purpose can be aimed at: the platform's processes and its places. Pure. */
import type { ChaosProcess, ChaosWorld } from '../chaos/targets.ts';
import { processLabel, type ProcessKind } from '../control/metrics/from-status.ts';
import type { ProcessStatus, StatusReport } from '../control/status.ts';
import type { GroupSpec } from '../topology/node.ts';
import type { Region } from '../topology/region.ts';

export function faultTargets(
  declared: { readonly groups: readonly GroupSpec[]; readonly regions: readonly Region[] },
  { gateways, appServers }: Pick<StatusReport, 'gateways' | 'appServers'>,
): ChaosWorld {
  const nodes = declared.groups.flatMap((group) => group.nodes);
  const processes = [
    ...nodes.map(({ name, locality }): ChaosProcess => ({ name, kind: 'database', locality })),
    ...gateways.map((status) => started('gateway', status)),
    ...appServers.map((status) => started('app', status)),
  ];
  // One that is being replaced is there twice; a fault is for both.
  const names = processes.map(({ name }) => name);
  return {
    processes: processes.filter(({ name }, index) => names.indexOf(name) === index),
    regions: declared.regions,
  };
}

function started(kind: ProcessKind, { name, region, zone }: ProcessStatus): ChaosProcess {
  return { name: processLabel(kind, name), kind, locality: { region, zone } };
}
