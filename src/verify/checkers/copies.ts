/** At the end every copy of a group holds the same; and a range that moved arrived as it was. */
import { grouped } from '../grouped.ts';
import type { Checker, Injected, Violation } from '../history.ts';

export const copies: Checker = {
  name: 'copies',
  claims: 'at the end all copies of a group are equal, and ranges arrived as they were',
  check: ({ final, injected }) => {
    const groups = grouped(final.copies, ({ group }) => group);
    const compared = [...groups].filter(([, list]) => list.length > 1);
    return {
      checker: copies.name,
      violations: [
        ...injected.flatMap(different),
        ...compared.flatMap(([group, list]): Violation[] => {
          const nodes = new Map<string, string[]>();
          for (const { node, checksum } of list) {
            nodes.set(checksum, [...(nodes.get(checksum) ?? []), node]);
          }
          if (nodes.size <= 1) return [];
          const sides = [...nodes.values()].map((names) => names.join(', ')).join(' | ');
          return [{ what: `copies of ${group} differ: ${sides}`, operations: [] }];
        }),
      ],
      covered: {
        groups: compared.length,
        copies: compared.reduce((sum, [, list]) => sum + list.length, 0),
      },
    };
  },
};

/** The platform compares both sides of a handover, and says so when they are not the same. */
function different({ what, code }: Injected): Violation[] {
  if (code !== 'ERR_RANGE_DIFFERS') return [];
  return [{ what: `${what}: it arrived with other rows than it had`, operations: [] }];
}
