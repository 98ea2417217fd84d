/**
 * Who would serve which range, as the servers themselves say, all the while: each is asked several times a
 * second, over a connection of its own, by the rule that lets strong transactions in. What is seen in a row
 * at the same epochs is one tenure.
 */
import type { Tenure } from './history.ts';
import { watchServers, type Watch } from './servers.ts';

const INTERVAL_MS = 250;

interface Served {
  readonly group: string;
  readonly group_epoch: number;
  readonly range: string;
  readonly range_epoch: number;
}

/**
 * The very function that lets strong transactions in is asked, for each range that the server knows of: a rule
 * written down here would say what it should be, not what it is.
 */
const SERVED_SQL = `
  DO $$
  DECLARE
    r record;
    v_served jsonb := '[]';
  BEGIN
    IF NOT pg_catalog.pg_is_in_recovery() THEN
      FOR r IN SELECT g.name AS "group", g.epoch AS group_epoch, x.name AS range, x.epoch AS range_epoch
        FROM meridian.group_state g, meridian.range x
      LOOP
        BEGIN
          PERFORM meridian.enter(r."group", r.group_epoch, r.range, r.range_epoch, NULL);
          v_served := v_served || pg_catalog.to_jsonb(r);
        EXCEPTION WHEN OTHERS THEN
          -- It is not let in.
        END;
      END LOOP;
    END IF;
    PERFORM pg_catalog.set_config('meridian_verify.served', v_served::text, false);
  END $$`;
const TOLD_SQL = `SELECT current_setting('meridian_verify.served')::jsonb AS served`;

/** Until the signal fires. Resolves with what was seen. */
export async function watchTenures(watch: Watch): Promise<readonly Tenure[]> {
  const tenures = new Map<string, Tenure>();
  await watchServers(watch, INTERVAL_MS, async (node, client) => {
    const fromMs = watch.nowMs();
    await client.query(SERVED_SQL);
    const last = { fromMs, untilMs: watch.nowMs() };
    const { rows } = await client.query<{ served: readonly Served[] }>(TOLD_SQL);
    for (const row of rows[0]?.served ?? []) {
      const { group, range, group_epoch: groupEpoch, range_epoch: rangeEpoch } = row;
      const key = [node, range, groupEpoch, rangeEpoch].join(' ');
      tenures.set(key, {
        ...{ node, group, range, last, first: tenures.get(key)?.first ?? last },
        ...{ groupEpoch, rangeEpoch },
      });
    }
  });
  return [...tenures.values()];
}
