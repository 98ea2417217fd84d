/** Each check of the doctor, over facts on paper: what is well, what is not, and what it says to do. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CHECKS, findingsOf } from '../../src/doctor/checks.ts';
import type { Facts } from '../../src/doctor/facts.ts';
import { tablesMade } from '../../src/migrations/made-tables.ts';
import { countOf, doctorText } from '../../src/cli/doctor-text.ts';
import { SCHEMA, TABLES } from '../support/cluster.ts';
import {
  config,
  declaring,
  engine,
  files,
  GIB,
  having,
  installation,
  machine,
  MIB,
  onMachine,
  port,
  program,
  running,
  well,
} from './doctor.paper.ts';

const judged = (facts: Facts, check: string): string[] =>
  findingsOf(facts)
    .filter((one) => one.check === check)
    .map((one) =>
      one.status === 'ok' ? `ok: ${one.found}` : `${one.status}: ${one.found} → ${one.remedy}`,
    );

const authentication = {
  issuers: { here: { issuer: 'x', audience: 'x', jwksUrl: 'https://x.example/keys' } },
};

/** Check, facts, what its lines must match. */
const CASES: readonly (readonly [string, Facts, ...RegExp[]])[] = [
  ['node', onMachine({ nodeVersion: '20.18.3' }), /^failure: .*20\.18\.3.* → Install/],
  ['node', onMachine({ nodeVersion: '22.1.0' }), /^ok/],
  ['system', onMachine({ platform: 'win32', libc: undefined }), /^failure: win32 .*WSL/],
  ['system', onMachine({ arch: 'ia32' }), /^failure/],
  ['system', onMachine({ libc: 'other' }), /^failure: .*glibc/],
  ['system', onMachine({ platform: 'darwin', arch: 'arm64', libc: undefined }), /^ok/],
  ['clock', onMachine({ nowMs: 0 }), /^warning: the clock says 1970/],
  ['clock', onMachine({ nowMs: Date.UTC(2026, 3, 1) }), /^warning: .*went back/],
  ['open-files', onMachine({ openFilesMax: undefined }), /^ok/],
  ['open-files', onMachine({ openFilesMax: 128 }), /^failure: 128 .* to 256/],
  ['open-files', onMachine({ openFilesMax: 1_024 }), /^warning: 1024 .*connectionsMax/],
  ['memory', onMachine({ memoryAvailableBytes: 512 * MIB }), /^warning: 512 MB/],
  ['memory', onMachine({ memoryTotalBytes: 512 * MIB, memoryAvailableBytes: 9 }), /^failure/],
  [
    'memory',
    { machine: { ...machine, memoryAvailableBytes: 9 }, declared: { ...well, running } },
    /^ok: .*running/,
  ],
  ['survival', having({}), /^ok: .*one zone/],
  ['survival', declaring({ survive: 'region' }), /^ok: .*one region/],
  [
    'survival',
    declaring({ survive: 'region', regions: { 'us-east': {} } }),
    /^failure: .*1 regions/,
  ],
  ['survival', declaring({ regions: { 'us-east': { zones: ['a'] } } }), /^failure: .*us-east/],
  ['tenant-fence', declaring({ tenantFence: false }), /^warning: tenantFence is off/],
  [
    'durability',
    declaring({ engine: { adapter: 'postgres', options: { fsync: false } } }),
    /^warning: fsync/,
  ],
  [
    'migrations',
    having({ migrations: { message: 'no folder', remedy: 'Make it.' } }),
    /^failure: no folder → Make it\.$/,
  ],
  ['migrations', having({}), /^ok: 1 for databases, 1 for ranges/],
  ['tables', having({}), /^ok: 3 declared/],
  ['tables', having({ migrations: { message: 'no folder', remedy: 'Make it.' } })],
  [
    'tables',
    having({
      migrations: files({
        ...SCHEMA,
        'regional/0002_more.sql': 'DROP TABLE note; CREATE TABLE notes (id int);',
      }),
    }),
    /^warning: no migration in regional\/ makes tables\.note → Did you mean 'notes'/,
    /^warning: migrations\/regional makes the table notes, .* → Declare tables\.notes/,
  ],
  [
    'tables',
    declaring({ tables: { ...TABLES, currency: { kind: 'regional', by: 'account_id' } } }),
    /^warning: tables\.currency is declared regional, and made in migrations\/database/,
  ],
  ['locks', having({}), /^ok: nothing runs/],
  ['locks', having({ running }), /^ok: no pending/],
  [
    'locks',
    having({ running: { ...running, lockWarnings: undefined } }),
    /^ok: .*could not be asked/,
  ],
  [
    'locks',
    having({
      running: {
        ...running,
        lockWarnings: [
          { file: 'a.sql', line: 3, warning: { what: 'it locks', remedy: 'Do not.' } },
        ],
      },
    }),
    /^warning: a\.sql:3: it locks → Do not\.$/,
  ],
  ...(['programs', 'account', 'storage', 'data', 'kernel'] as const).map(
    (part) =>
      [
        `engine-${part}`,
        having({
          engine: {
            ...engine,
            [part]: { found: 'broken', fault: { severity: 'failure', remedy: 'Mend it.' } },
          },
        }),
        /^failure: broken → Mend it\.$/,
      ] as const,
  ),
  ['engine-programs', having({ engine: undefined })],
  [
    'data-directory',
    having({ installation: { ...installation, kind: 'other' } }),
    /^failure: .*not a folder/,
  ],
  [
    'data-directory',
    having({ installation: { ...installation, kind: 'hidden' } }),
    /^failure: .*entered/,
  ],
  [
    'data-directory',
    having({ installation: { ...installation, writable: false } }),
    /^failure: .*not writable/,
  ],
  [
    'data-directory',
    having({ installation: { ...installation, kind: 'absent', writable: false } }),
    /^failure: .*cannot be made/,
  ],
  [
    'data-directory',
    having({ installation: { ...installation, kind: 'absent' } }),
    /^ok: .*will be made/,
  ],
  [
    'data-documents',
    having({
      installation: { ...installation, fault: { message: 'damaged', remedy: 'Restore.' } },
    }),
    /^failure: damaged → Restore\.$/,
  ],
  ['data-documents', having({ installation: { ...installation, kind: 'absent' } })],
  [
    'disk',
    having({ disk: { path: '/shop', freeBytes: 100 * MIB } }),
    /^failure: 100 MB free .*480 MB/,
  ],
  ['disk', having({ disk: { path: '/shop', freeBytes: GIB } }), /^warning: 1024 MB free/],
  ['disk', having({ disk: undefined })],
  ['supervisor', having({}), /^ok: the platform does not run/],
  ['supervisor', having({ running }), /^ok: the platform runs \(process 4711\)/],
  [
    'supervisor',
    having({ running: { ...running, ports: undefined } }),
    /^warning: .*does not answer/,
  ],
  [
    'supervisor',
    having({ installation: { ...installation, strays: [{ name: 'wan', pid: 7 }] } }),
    /^warning: 1 processes .*wan \(7\) → Start the platform/,
  ],
  ['ports', having({ ports: [] }), /^ok: free ones are picked/],
  [
    'ports',
    having({ ports: [{ ...port, state: 'taken' }] }),
    /^failure: .*8081 is taken by another .*gateway\.ports/,
  ],
  [
    'ports',
    having({ ports: [{ ...port, key: 'controlPort', state: 'taken' }] }),
    /in controlPort\.$/,
  ],
  [
    'ports',
    having({ running, ports: [{ ...port, state: 'taken' }] }),
    /^ok: .*held by this platform/,
  ],
  ['ports', having({ running, ports: [{ ...port, port: 9, state: 'taken' }] }), /^failure/],
  [
    'ports',
    having({ running: { ...running, ports: undefined }, ports: [{ ...port, state: 'taken' }] }),
    /^warning: .*perhaps by process 4711/,
  ],
  ['ports', having({ ports: [{ ...port, state: 'denied' }] }), /^failure: .*above 1023/],
  ['ports', having({ ports: [{ ...port, state: 'no-address' }] }), /^failure: .*listenAddress/],
  ['exposure', having({}), /^ok: .*127\.0\.0\.1 alone/],
  ['exposure', declaring({ gateway: { listenAddress: '::1' } }), /^ok/],
  [
    'exposure',
    declaring({ gateway: { listenAddress: '0.0.0.0' } }),
    /^warning: .*verify no tokens/,
  ],
  [
    'exposure',
    declaring({
      gateway: { listenAddress: '::', authentication: { ...authentication, required: false } },
    }),
    /^warning: .*without a token/,
  ],
  [
    'exposure',
    declaring({ gateway: { listenAddress: '0.0.0.0', authentication } }),
    /^ok: .*ask for a token/,
  ],
  ['proxies', having({})],
  ['proxies', declaring({ gateway: { listenAddress: '0.0.0.0' } }), /^warning: .*trustedProxies/],
  [
    'proxies',
    declaring({ gateway: { listenAddress: '0.0.0.0', trustedProxies: ['private'] } }),
    /^ok: trusted: private/,
  ],
  ['keys', having({})],
  ['keys', declaring({ gateway: { authentication } }), /^ok/],
  [
    'keys',
    having({ config: config({ gateway: { authentication } }), missingKeys: ['the file /k'] }),
    /^failure: the file \/k is not there/,
  ],
  ...(['app', 'traffic'] as const).flatMap((key) => [
    [key, having({ [key]: undefined })] as const,
    [
      key,
      having({ [key]: { ...program, directoryExists: false } }),
      /^failure: there is no folder \/shop/,
    ] as const,
    [
      key,
      having({ [key]: { ...program, program: undefined } }),
      /^failure: there is no program node/,
    ] as const,
    [
      key,
      having({ [key]: { ...program, program: undefined, denied: true } }),
      /^failure: .*chmod/,
    ] as const,
    [
      key,
      having({ [key]: { ...program, missingScript: 'server.js' } }),
      /^warning: there is no server\.js/,
    ] as const,
  ]),
];

describe('the checks', () => {
  test('a machine and a configuration that are well', () => {
    const findings = findingsOf(having({}));
    assert.deepEqual(countOf(findings), { warnings: 0, failures: 0 });
    assert.match(doctorText(findings), /All is well\.\n$/);
  });

  for (const [check, facts, ...expected] of CASES) {
    test(`${check}: ${expected.map(String).join(' ') || 'nothing to say'}`, () => {
      const lines = judged(facts, check);
      assert.equal(lines.length, expected.length, lines.join('\n'));
      for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? '', pattern);
    });
  }

  test('every check is met above, or has nothing to get wrong', () => {
    const met = new Set(CASES.map(([check]) => check));
    assert.deepEqual(
      CHECKS.filter(({ name }) => !met.has(name)).map(({ name }) => name),
      ['configuration'],
    );
  });

  test('without a configuration the machine is checked, and every problem of the file is told', () => {
    const findings = findingsOf({
      machine,
      declared: { message: 'it has 2 problems:\n  - one\n  - two', remedy: 'Correct them.' },
    });
    assert.deepEqual(
      findings.map(({ check, status }) => `${check} ${status}`),
      ['node ok', 'system ok', 'clock ok', 'open-files ok', 'memory ok', 'configuration failure'],
    );
    assert.match(
      doctorText(findings),
      /FAILURE {2}configuration {2}it has 2[^]* {4}- two\n +→ Correct them\. What[^]*1 failure, 0 warnings\.\n$/,
    );
  });
});

describe('tables that migrations make, by their text', () => {
  test('follow CREATE, DROP and RENAME, quoted or not', () => {
    const made = tablesMade(
      files({
        'database/0001_a.sql':
          'CREATE TABLE IF NOT EXISTS "one" (id int); CREATE UNLOGGED TABLE two(id int);',
        'regional/0001_b.sql':
          'CREATE TABLE three (id int); CREATE TABLE four (id int); CREATE TABLE five (id int); -- CREATE TABLE no (id int);\n' +
          'CREATE TABLE four_1 PARTITION OF four FOR VALUES IN (1);',
        'regional/0002_c.sql':
          "DROP TABLE IF EXISTS three, five CASCADE; ALTER TABLE four RENAME TO six; SELECT 'CREATE TABLE x (id int)';",
      }),
    );
    assert.deepEqual(
      [...made],
      [
        ['one', 'database'],
        ['two', 'database'],
        ['six', 'regional'],
      ],
    );
  });
});
