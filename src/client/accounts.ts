/**
 * Creating an account: one row of the directory, written at the primary region. While the primary is
 * unreachable this fails, clearly; nothing of the account exists then.
 */
import { MeridianError } from '../kernel/errors.ts';
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
  const range = pickRange(services, options.region);
  const { value, token } = await parts.global.write(async (tx) => {
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

function pickRange(services: AttemptServices, region: string): string {
  const { view } = services.control;
  const ranges = Object.values(view.ranges).filter(
    (range) => range.made !== true && view.groups[range.group]?.homeRegion === region,
  );
  const chosen = ranges[services.random.below(Math.max(1, ranges.length))];
  if (chosen !== undefined) return chosen.name;
  const known = services.control.hello.regions.some((one) => one.name === region);
  if (known) {
    throw new MeridianError('ERR_ENGINE_NO_NODE', `no range of region ${region} is ready yet`);
  }
  throw new MeridianError('ERR_ACCOUNT_INVALID', `there is no region "${region}"`, {
    remedy: `Use one of: ${services.control.hello.regions.map((one) => one.name).join(', ')}.`,
  });
}
