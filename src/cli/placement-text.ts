/** Where accounts live, and which should live elsewhere, as a person reads it. Pure. */
import type { AccountExplanation, HotGroupStatus, RehomingStatus } from '../control/placement.ts';
import type { DrainStatus } from '../control/status.ts';
import { formatDuration } from './duration.ts';
import { accountsText } from './group-text.ts';
import { formatBytes, formatTable, type Column } from './output.ts';

const percent = (share: number): string => `${String(Math.round(100 * share))} %`;

const TRAFFIC: readonly Column<AccountExplanation['traffic'][number]>[] = [
  { title: 'CLIENTS IN', text: ({ region }) => region },
  { title: 'ACCESSES', align: 'right', text: ({ accesses }) => String(accesses) },
  { title: 'SHARE', align: 'right', text: ({ share }) => percent(share) },
];

const HOMES: readonly Column<AccountExplanation['homes'][number]>[] = [
  { title: 'HOME IN', text: ({ region }) => region },
  { title: 'MEAN ROUND TRIP', align: 'right', text: ({ meanMs }) => `${meanMs.toFixed(1)} ms` },
];

export function explanationLines(told: AccountExplanation): string[] {
  const { account, home, group, range, residency, mode, why } = told;
  const { traffic, homes, wouldMoveTo } = told;
  const cycle = formatDuration(told.intervalMs * told.intervalsPerCycle);
  const seen = traffic.some(({ accesses }) => accesses > 0);
  return [
    `${account} lives in ${home} (range ${range} of ${group})${residency === null ? '' : `, pinned to ${residency}`}.`,
    `It ${why}.`,
    ...(wouldMoveTo === null || mode === 'auto'
      ? []
      : [
          `Nothing is moved by itself (rehoming.mode is ${mode}): meridian rehome ${account} --to ${wouldMoveTo}`,
        ]),
    ...(seen
      ? [
          '',
          `What its home had to answer in the last ${cycle}:`,
          ...formatTable(traffic, TRAFFIC),
          '',
          ...formatTable(homes, HOMES),
        ]
      : []),
  ];
}

/** Regions that are to be left. */
export function drainLines(drains: readonly DrainStatus[]): string[] {
  return drains.flatMap((drain) => {
    const { region, state, note } = drain;
    if (state === 'drained') return [`${region} is drained: the configuration may leave it out`];
    return [
      `${region} is being drained: ${accountsText(drain)} have gone`,
      ...(note === '' ? [] : [`  the last try failed: ${note}`]),
    ];
  });
}

/** Nothing where there is nothing to tell. */
export function rehomingLines(told: RehomingStatus): string[] {
  const { mode, suggestedTotal, postponedTotal, movedAccounts, movedBytes, note } = told;
  const first = told.suggested
    .slice(0, 3)
    .map(({ account, from, to }) => `${account} from ${from} to ${to}`);
  return [
    ...(suggestedTotal === 0
      ? []
      : [
          `${String(suggestedTotal)} accounts should have another home (${mode}): ${first.join(', ')}${suggestedTotal > first.length ? ', …' : ''}`,
        ]),
    ...(postponedTotal === 0
      ? []
      : [`${String(postponedTotal)} more wait: a cycle may move no more bytes or accounts`]),
    ...(movedAccounts === 0
      ? []
      : [
          `${String(movedAccounts)} accounts were re-homed in this cycle, ${formatBytes(movedBytes)}`,
        ]),
    ...told.hot.map(hotLine),
    ...(note === '' ? [] : [`re-homing: ${note}`]),
  ];
}

function hotLine(hot: HotGroupStatus): string {
  const { kind, group, range, to, accounts, accountsTotal, account, share } = hot;
  const there = `${group} has much more to do than the others of its region`;
  if (kind === 'move') {
    return `${there}: meridian move ${range} --to ${to ?? ''} takes ${percent(share)} off it`;
  }
  if (kind === 'split') {
    const first = `${accounts.slice(0, 3).join(' ')}${accountsTotal > 3 ? ' …' : ''}`;
    return `${there}: ${String(accountsTotal)} accounts take ${percent(share)} off it: meridian split ${range} ${first}, then move their range to ${to ?? ''} (all are in --json)`;
  }
  return `${there}: ${percent(share)} of it is account ${account ?? ''}, which cannot be divided`;
}
