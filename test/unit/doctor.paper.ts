/** Facts on paper for the doctor's checks: a machine and a configuration that are well, and changes to them. */
import type { MeridianConfig } from '../../src/config/define.ts';
import { resolveConfig } from '../../src/config/resolve.ts';
import type { ResolvedConfig } from '../../src/config/resolved.ts';
import type { DeclaredFacts, Facts, MachineFacts, PortFacts } from '../../src/doctor/facts.ts';
import type { EngineDiagnosis } from '../../src/engines/diagnosis.ts';
import { parseMigration, type MigrationFiles } from '../../src/migrations/files.ts';
import { SCHEMA, TABLES } from '../support/cluster.ts';

export const MIB = 1024 * 1024;
export const GIB = 1024 * MIB;

export const machine: MachineFacts = {
  nodeVersion: '20.19.0',
  nodeRequired: '20.19.0',
  platform: 'linux',
  arch: 'x64',
  libc: 'glibc',
  openFilesMax: 65_536,
  memoryTotalBytes: 8 * GIB,
  memoryAvailableBytes: 4 * GIB,
  nowMs: Date.UTC(2026, 5, 1),
};

export const config = (changes: Partial<MeridianConfig> = {}): ResolvedConfig =>
  resolveConfig(
    {
      regions: { 'us-east': {}, 'eu-west': {}, 'ap-south': {} },
      primaryRegion: 'us-east',
      tables: TABLES,
      ...changes,
    },
    '/shop/meridian.config.ts',
  );

export const files = (texts: Readonly<Record<string, string>>): MigrationFiles => {
  const parsed = Object.entries(texts).map(([path, text]) => {
    const [scope, name = ''] = path.split('/');
    const kind = scope === 'database' ? 'database' : 'regional';
    return parseMigration({ scope: kind, name, path: `migrations/${path}` }, text);
  });
  return {
    database: parsed.filter(({ scope }) => scope === 'database'),
    regional: parsed.filter(({ scope }) => scope === 'regional'),
  };
};

export const engine: EngineDiagnosis = {
  programs: { found: 'it runs' },
  account: { found: 'your own' },
  storage: { found: 'yours' },
  data: { found: 'none yet' },
  kernel: { found: 'plenty' },
  nodesDirectory: '/shop/.meridian/nodes',
  needs: { diskBytes: 480 * MIB, growthBytes: GIB, memoryBytes: 240 * MIB, openFiles: 256 },
};

export const installation: DeclaredFacts['installation'] = {
  directory: '/shop/.meridian',
  kind: 'folder',
  writable: true,
  holder: undefined,
  strays: [],
  fault: undefined,
  engine: undefined,
  writtenAtMs: Date.UTC(2026, 4, 1),
};

export const program = {
  command: 'node',
  directory: '/shop',
  directoryExists: true,
  program: '/usr/bin/node',
  denied: false,
  missingScript: undefined,
} as const;

export const port: PortFacts = {
  key: 'gateway.ports.us-east',
  address: '127.0.0.1',
  port: 8081,
  state: 'free',
};

export const running = { pid: 4711, ports: [8081], lockWarnings: [] } as const;

export const well: DeclaredFacts = {
  config: config(),
  installation,
  running: undefined,
  engine,
  disk: { path: '/shop', freeBytes: 100 * GIB },
  ports: [port],
  app: program,
  traffic: program,
  migrations: files(SCHEMA),
  missingKeys: [],
};

export const onMachine = (changes: Partial<MachineFacts>): Facts => ({
  machine: { ...machine, ...changes },
  declared: well,
});
export const having = (changes: Partial<DeclaredFacts>): Facts => ({
  machine,
  declared: { ...well, ...changes },
});
export const declaring = (changes: Partial<MeridianConfig>): Facts =>
  having({ config: config(changes) });
