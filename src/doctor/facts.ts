/** What `meridian doctor` knows of a machine and a configuration: one snapshot, which checks judge. */
import type { ResolvedConfig } from '../config/resolved.ts';
import type { MigrationWarning } from '../control/migration.ts';
import type { EngineDiagnosis } from '../engines/diagnosis.ts';
import type { MigrationFiles } from '../migrations/files.ts';
import type { InspectedInstallation } from '../orchestrate/inspection.ts';

export interface MachineFacts {
  /** "20.20.0" */
  readonly nodeVersion: string;
  /** The oldest that this release runs on. */
  readonly nodeRequired: string;
  readonly platform: string;
  readonly arch: string;
  /** Of Linux alone; undefined elsewhere. */
  readonly libc: 'glibc' | 'other' | undefined;
  /** Of one process; undefined where the system does not tell, or sets no limit. */
  readonly openFilesMax: number | undefined;
  readonly memoryTotalBytes: number;
  readonly memoryAvailableBytes: number;
  readonly nowMs: number;
}

/** A failure's own words. */
export interface Fault {
  readonly message: string;
  readonly remedy: string;
}

export interface PortFacts {
  /** The key that declares it: "gateway.ports.us-east". */
  readonly key: string;
  readonly address: string;
  readonly port: number;
  /** 'no-address': this machine does not have the address. */
  readonly state: 'free' | 'taken' | 'denied' | 'no-address';
}

export interface ProgramFacts {
  readonly command: string;
  readonly directory: string;
  readonly directoryExists: boolean;
  /** The file that would be run. */
  readonly program: string | undefined;
  /** One of this name is there, and may not be executed. */
  readonly denied: boolean;
  /** The script among its arguments, when there is no such file. */
  readonly missingScript: string | undefined;
}

/** What the running platform says of itself; without ports, it did not answer. */
export interface RunningFacts {
  readonly pid: number;
  readonly ports: readonly number[] | undefined;
  /** Of pending migrations; undefined when it could not be asked. */
  readonly lockWarnings: readonly MigrationWarning[] | undefined;
}

export interface DiskFacts {
  /** The folder that was asked: the nodes' own, or the nearest above it that exists. */
  readonly path: string;
  readonly freeBytes: number;
}

export interface DeclaredFacts {
  readonly config: ResolvedConfig;
  readonly installation: InspectedInstallation;
  /** Of the installation; undefined when it does not run. */
  readonly running: RunningFacts | undefined;
  /** Undefined for an engine that says nothing of machines. */
  readonly engine: EngineDiagnosis | undefined;
  readonly disk: DiskFacts | undefined;
  readonly ports: readonly PortFacts[];
  readonly app: ProgramFacts | undefined;
  readonly traffic: ProgramFacts | undefined;
  readonly migrations: MigrationFiles | Fault;
  /** Files and environment variables with keys of issuers that are not there. */
  readonly missingKeys: readonly string[];
}

export interface Facts {
  readonly machine: MachineFacts;
  /** A configuration that cannot be used leaves its own fault, and nothing to check. */
  readonly declared: DeclaredFacts | Fault;
}

export const isFault = (value: object): value is Fault => 'remedy' in value && 'message' in value;
