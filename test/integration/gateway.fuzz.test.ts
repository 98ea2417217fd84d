/** A short run of the fuzzing harness; `npm run bench -- fuzz` is the long one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCampaign } from '../../bench/fuzz/campaign.ts';

test('hostile connections, app servers and texts crash, hang and leak nothing', async (t) => {
  const seed = 20_260_101;
  t.diagnostic(`seed ${String(seed)}`);
  const report = await runCampaign({ seed, forMs: 3_000 });
  t.diagnostic(
    `${String(report.cases)} connections, served ${report.servedShare.toFixed(2)}, ` +
      `heap ${report.heapGrownMb.toFixed(1)} MB, handles ${String(report.handlesGrown)}`,
  );
  assert.deepEqual(report.findings, []);
  assert.ok(report.cases >= 16);
  // It gets to the app server, and it does not always.
  assert.ok(report.servedShare > 0.2 && report.servedShare < 0.95);
});
