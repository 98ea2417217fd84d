/**
 * Creating an account: one row of the directory, written at the primary region. While the primary is
 * unreachable this fails, clearly; nothing of the account exists then.
 */
import { MeridianError } from '../kernel/errors.ts';
import { regionPair } from '../topology/region.ts';
import type { RoutedRange, RoutingView } from '../topology/routing.ts';
import type { CreateAccountOptions, CreatedAccount, GlobalClient } from './api.ts';
import type { AttemptServices } from './work.ts';
import { checkAccountId, homeOf, type Directory } from './directory.ts';

const INSERT = `
  INSERT INTO meridian.account (id, range) VALUES ($1, $2)
  ON CONFLICT (id) DO NOTHING RETURNING range`;

export async function createAccount(
  parts: {
    readonly services: AttemptServices;
    readonly directory: Directory;
    readonly global: GlobalClient;
    readonly newId: () => string;
  },
  options: CreateAccountOptions,
): Promise<CreatedAccount> {
  const { services, directory } = parts;
  const id = options.id ?? parts.newId();
  checkAccountId(id);
  const { value, token } = await parts.global.write(async (tx) => {
    // Anew with each try: the range may take no accounts any more.
    const range = pickRange(services, options);
    const inserted = await tx.query<{ range: string }>(INSERT, [id, range]);
    if (inserted.rows.length > 0) return { created: true, range };
    const found = await tx.query<{ range: string }>(
      'SELECT range FROM meridian.account WHERE id = $1',
      [id],
    );
    return { created: false, range: found.rows[0]?.range ?? range };
  }, options);
  directory.remember(id, value.range);
  const home = homeOf(services.control.view, id, value.range);
  if (!value.created) {
    throw new MeridianError('ERR_ACCOUNT_EXISTS', 'an account with this id exists already', {
      details: { homeRegion: home.homeRegion },
    });
  }
  return { id, home, token };
}

function pickRange(
  services: AttemptServices,
  { region, residency }: Pick<CreateAccountOptions, 'region' | 'residency'>,
): string {
  const { view } = services.control;
  const { regions, latency } = services.control.hello;
  if (!regions.some(({ name }) => name === region)) {
    throw new MeridianError('ERR_ACCOUNT_INVALID', `there is no region "${region}"`, {
      remedy: `Use one of: ${regions.map(({ name }) => name).join(', ')}.`,
    });
  }
  const homed = (name: string, { made }: { readonly made: boolean }): readonly RoutedRange[] =>
    Object.values(view.ranges).filter((range) => {
      const group = view.groups[range.group];
      const there = group?.homeRegion === name && group.residency === residency;
      return there && (range.made === true) === made;
    });
  if (residency !== undefined) checkResidency(view, { region, residency });
  const open = homed(region, { made: false });
  if (open.length === 0 && homed(region, { made: true }).length === 0) {
    throw new MeridianError('ERR_ENGINE_NO_NODE', `no range of region ${region} is ready yet`);
  }
  // A region that is being drained: its clients are nearest to the next one from now on.
  const distanceMs = (to: string): number => latency.betweenRegionsMs[regionPair(region, to)] ?? 0;
  const others = regions
    .map(({ name }) => name)
    .filter((name) => name !== region)
    .toSorted((a, b) => distanceMs(a) - distanceMs(b));
  const ranges = [region, ...others]
    .map((name) => homed(name, { made: false }))
    .find(({ length }) => length > 0);
  const chosen = ranges?.[services.random.below(ranges.length)];
  if (chosen !== undefined) return chosen.name;
  throw new MeridianError('ERR_ENGINE_NO_NODE', 'no region takes new accounts now');
}

function checkResidency(
  { groups }: RoutingView,
  { region, residency }: { readonly region: string; readonly residency: string },
): void {
  const has = Object.values(groups).filter((group) => group.residency === residency);
  if (has.some(({ homeRegion }) => homeRegion === region)) return;
  const known = new Set(Object.values(groups).flatMap((group) => group.residency ?? []));
  throw new MeridianError(
    'ERR_ACCOUNT_INVALID',
    has.length === 0
      ? `there is no residency "${residency}"`
      : `residency "${residency}" does not allow region "${region}"`,
    {
      remedy:
        has.length === 0
          ? `Use one of: ${[...known].join(', ') || 'none is declared'}.`
          : `Use one of: ${has.map(({ homeRegion }) => homeRegion).join(', ')}.`,
    },
  );
}
