/** Checks of the declaration: that it can be used, and what it leaves open. Pure. */
import { nearestName } from '../kernel/problem.ts';
import { tablesMade } from '../migrations/made-tables.ts';
import { VOTERS_PER_GROUP } from '../topology/survival.ts';
import { isFault, type DeclaredFacts, type Facts } from './facts.ts';
import { failure, ok, warning, type Verdict } from './verdict.ts';

/** More would hide what is above. */
const LISTED_MAX = 10;

export function loads({ declared }: Facts): Verdict {
  if (isFault(declared)) {
    return failure(
      declared.message,
      `${declared.remedy} What depends on the configuration was not checked.`,
    );
  }
  return ok(declared.config.configFile);
}

export function survival({ config }: DeclaredFacts): Verdict {
  const voters = String(VOTERS_PER_GROUP);
  if (config.survive === 'region') {
    if (config.regions.length < VOTERS_PER_GROUP) {
      const found = `survive: 'region' with ${String(config.regions.length)} regions`;
      return failure(found, `Declare ${voters} regions, or survive: 'zone'.`);
    }
    return ok(`writes survive the loss of any one region (${voters} voters in as many regions)`);
  }
  const short = config.regions.find((region) => region.zones.length < VOTERS_PER_GROUP);
  if (short !== undefined) {
    const found = `survive: 'zone' with ${String(short.zones.length)} zones in ${short.name}`;
    return failure(found, `Declare ${voters} zones in each region.`);
  }
  return ok(`writes survive the loss of any one zone (${voters} voters in as many zones)`);
}

export function tenantFence({ config }: DeclaredFacts): Verdict {
  if (config.tenantFence) return ok('a transaction touches rows of its accounts alone');
  return warning(
    'tenantFence is off: a query without its WHERE sees every account',
    'Take tenantFence: false out, unless each query is known to name its account.',
  );
}

export function durability({ config }: DeclaredFacts): Verdict {
  if (config.engine.options.fsync) return ok('commits are written to disk');
  return warning(
    'fsync is off: a crash of the machine may destroy the data',
    'Take fsync: false out, unless the data may be lost.',
  );
}

export function migrations({ migrations }: DeclaredFacts): Verdict {
  if (isFault(migrations)) return failure(migrations.message, migrations.remedy);
  const { database, regional } = migrations;
  return ok(`${String(database.length)} for databases, ${String(regional.length)} for ranges`);
}

/**
 * The start compares the tables themselves; their text is compared here, where a table made by a
 * function is not seen. So these are warnings.
 */
export function tables({ config, migrations }: DeclaredFacts): readonly Verdict[] {
  if (isFault(migrations)) return [];
  const made = tablesMade(migrations);
  const names = Object.keys(config.tables);
  const missing = Object.entries(config.tables).flatMap(([table, { kind }]): Verdict[] => {
    const scope = kind === 'regional' ? 'regional' : 'database';
    const found = made.get(table);
    if (found === scope) return [];
    if (found !== undefined) {
      const text = `tables.${table} is declared ${kind}, and made in migrations/${found}`;
      return [warning(text, `Move its migration to ${scope}/, or declare it the other way.`)];
    }
    const near = nearestName(
      table,
      [...made.keys()].filter((name) => !names.includes(name)),
    );
    const remedy =
      near === undefined
        ? 'Create it there, or remove the declaration.'
        : `Did you mean '${near}'?`;
    return [warning(`no migration in ${scope}/ makes tables.${table}`, remedy)];
  });
  const undeclared = [...made]
    .filter(([table]) => !names.includes(table))
    .map(([table, scope]) =>
      warning(
        `migrations/${scope} makes the table ${table}, which is not declared`,
        `Declare tables.${table}.`,
      ),
    );
  const all = [...missing, ...undeclared];
  if (all.length > 0) return all.slice(0, LISTED_MAX);
  return [ok(`${String(names.length)} declared, and made by the migrations`)];
}

/** Locks matter while requests are served; a start applies what is pending before it serves any. */
export function locks({ running }: DeclaredFacts): readonly Verdict[] {
  if (running === undefined) {
    return [ok('nothing runs: pending migrations are applied before requests are served')];
  }
  if (running.lockWarnings === undefined) {
    return [ok('the running platform could not be asked for pending migrations')];
  }
  if (running.lockWarnings.length === 0) return [ok('no pending migration would lock for long')];
  return running.lockWarnings
    .slice(0, LISTED_MAX)
    .map(({ file, line, warning: { what, remedy } }) =>
      warning(`${file}:${String(line)}: ${what}`, remedy),
    );
}
