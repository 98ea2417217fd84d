/** At the end every copy of a group holds the same. */
import { grouped } from '../grouped.ts';
import type { Checker, Violation } from '../history.ts';

export const copies: Checker = {
  name: 'copies',
  claims: 'at the end all copies of a group are equal',
  check: ({ final }) => {
    const groups = grouped(final.copies, ({ group }) => group);
    const compared = [...groups].filter(([, list]) => list.length > 1);
    return {
      checker: copies.name,
      violations: compared.flatMap(([group, list]): Violation[] => {
        const nodes = new Map<string, string[]>();
        for (const { node, checksum } of list) {
          nodes.set(checksum, [...(nodes.get(checksum) ?? []), node]);
        }
        if (nodes.size <= 1) return [];
        const sides = [...nodes.values()].map((names) => names.join(', ')).join(' | ');
        return [{ what: `copies of ${group} differ: ${sides}`, operations: [] }];
      }),
      covered: {
        groups: compared.length,
        copies: compared.reduce((sum, [, list]) => sum + list.length, 0),
      },
    };
  },
};
