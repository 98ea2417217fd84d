/**
 * Fuzzes every parser of outside bytes: raw connections to a real gateway, and consistency tokens,
 * bearer tokens, accounts, forwarded headers, the configuration and the control feed.
 *
 *   npm run bench -- fuzz [--for 10m] [--seed n] [--case n]
 *
 * A finding is a crash, a hang, a 500, an error that is no refusal, or something left behind. Each is
 * printed with its case's number: the same seed with `--case` runs it alone.
 */
import { parseArgs } from 'node:util';
import { runCampaign } from './fuzz/campaign.ts';

const { values: asked } = parseArgs({
  options: {
    for: { type: 'string', default: '10m' },
    seed: { type: 'string' },
    case: { type: 'string' },
  },
});

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 };
const duration = /^(\d+)([smh])$/.exec(asked.for);
if (duration === null) throw new Error(`--for is '${asked.for}'; expected such as 30s or 10m`);
const forMs = Number(duration[1]) * (UNIT_MS[duration[2] ?? 's'] ?? 1_000);
const seed = asked.seed === undefined ? Date.now() % 2 ** 31 : Number(asked.seed);

console.log(`seed ${String(seed)}`);
const report = await runCampaign({
  seed,
  forMs,
  ...(asked.case === undefined ? {} : { only: Number(asked.case) }),
  onProgress: (line) => {
    console.log(line);
  },
});
for (const [name, times] of Object.entries(report.counts).sort(([a], [b]) => (a < b ? -1 : 1))) {
  console.log(`${name.padEnd(40)} ${String(times).padStart(10)}`);
}
console.log(
  `${String(report.cases)} cases in ${report.seconds.toFixed(0)} s, ` +
    `${(report.cases / report.seconds).toFixed(0)} connections/s; ` +
    `${(100 * report.servedShare).toFixed(0)} % of the answers 2xx; since the warm-up ` +
    `${report.heapGrownMb.toFixed(1)} MB of heap, ${String(report.handlesGrown)} handles`,
);
for (const finding of report.findings) console.error(finding);
console.log(
  report.findings.length === 0 ? 'no findings' : `${String(report.findings.length)} findings`,
);
process.exitCode = report.findings.length === 0 ? 0 : 1;
