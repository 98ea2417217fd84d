/** Accounts that are moved together: to the same region, pinned to the same. Pure. */
import type { Move } from '../placement/rehoming-plan.ts';
import type { ResidencyName } from '../topology/residency.ts';
import type { AccountId } from '../topology/routing.ts';

export interface Together {
  readonly to: number;
  readonly residency: ResidencyName | null;
  readonly moves: Move<AccountId>[];
}

export function goingTogether(
  moves: readonly Move<AccountId>[],
  pinnedTo: (move: Move<AccountId>) => ResidencyName | null,
): readonly Together[] {
  const targets = new Map<string, Together>();
  for (const move of moves) {
    const { to } = move;
    const residency = pinnedTo(move);
    const key = `${String(to)} ${residency ?? ''}`;
    const there = targets.get(key) ?? { to, residency, moves: [] };
    there.moves.push(move);
    targets.set(key, there);
  }
  return [...targets.values()];
}
