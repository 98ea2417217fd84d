/**
 * The operating system's account that servers run as. PostgreSQL refuses to run as root, so root
 * starts it as an unprivileged account that exists in /etc/passwd (initdb looks itself up there).
 */
import { readFileSync } from 'node:fs';
import { chown } from 'node:fs/promises';
import { MeridianError } from '../../kernel/errors.ts';

export interface ServerAccount {
  /** Undefined: our own account. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

const NOBODY_UID = 65_534;

export function serverAccount(): ServerAccount {
  if (process.getuid?.() !== 0) return { user: undefined };
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map((fields) => ({ name: fields[0], uid: Number(fields[2]), gid: Number(fields[3]) }))
    .filter((account) => account.uid > 0 && Number.isInteger(account.gid));
  const chosen =
    accounts.find((account) => account.name === 'postgres') ??
    accounts.find((account) => account.uid === NOBODY_UID) ??
    accounts[0];
  if (chosen === undefined) {
    throw new MeridianError(
      'ERR_POSTGRES_UNUSABLE',
      'PostgreSQL refuses to run as root and /etc/passwd names no other account',
      { remedy: 'Run as an ordinary user, or create one (for example "postgres").' },
    );
  }
  return { user: { uid: chosen.uid, gid: chosen.gid } };
}

/** Gives a file or folder to the servers' account. */
export async function giveTo(account: ServerAccount, path: string): Promise<void> {
  if (account.user !== undefined) await chown(path, account.user.uid, account.user.gid);
}
