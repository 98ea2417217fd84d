/**
 * An operation on a replication group as a person reads it, line by line. Progress is told in tenths,
 * or every 16 MiB while the whole is not known, so that a log of it stays short.
 */
import type { OperationEvent } from '../control/operation.ts';
import { formatDuration } from './duration.ts';
import { accountsText, progressText } from './group-text.ts';

type Progress = Extract<OperationEvent, { kind: 'progress' }>;

const UNKNOWN_WHOLE_BYTES = 16 * 1024 * 1024;

export class OperationText {
  #what = '';
  /** How many tenths, or pieces, were told. */
  #told = 0;

  /** Undefined: nothing that a person needs to see. */
  line(event: OperationEvent): string | undefined {
    switch (event.kind) {
      case 'begun':
        return `To be done: ${event.summary}.`;
      case 'phase':
        return `  ${event.phase}  after ${formatDuration(event.atMs)}`;
      case 'progress':
        return this.#isNews(event) ? `  ${event.what}: ${textOf(event)}` : undefined;
      case 'ended':
        return `Done in ${formatDuration(event.tookMs)}.`;
    }
  }

  #isNews(progress: Progress): boolean {
    const { what } = progress;
    const steps = stepsOf(progress);
    // Another step, or one that began anew.
    if (what !== this.#what || steps < this.#told) this.#told = 0;
    this.#what = what;
    if (steps <= this.#told) return false;
    this.#told = steps;
    return true;
  }
}

function textOf(progress: Progress): string {
  return 'doneAccounts' in progress ? accountsText(progress) : progressText(progress);
}

function stepsOf(progress: Progress): number {
  if ('doneAccounts' in progress) return tenths(progress.doneAccounts, progress.totalAccounts);
  const { doneBytes, totalBytes } = progress;
  return totalBytes === null || totalBytes <= 0
    ? Math.floor(doneBytes / UNKNOWN_WHOLE_BYTES)
    : tenths(doneBytes, totalBytes);
}

function tenths(done: number, total: number): number {
  return Math.floor((done / total) * 10);
}
