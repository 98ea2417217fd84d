/**
 * Where ranges are, and what is being done to them, as it is stored. Written before anything of it is
 * done, and forgotten when nothing of it is left to be done.
 */
import type { DesiredState } from '../../engine.ts';
import type { GroupName } from '../../../topology/position.ts';
import type { RangeName } from '../../../topology/routing.ts';
import { declaredIn, type StoredCluster, type StoredMove, type StoredTransfer } from '../places.ts';

export interface RegisterStore {
  read(): StoredCluster;
  write(change: Partial<StoredCluster>): Promise<void>;
}

export class RangeRegister {
  readonly #store: RegisterStore;
  /** Of ranges that are declared. */
  #declared: ReadonlyMap<RangeName, GroupName> = new Map();

  constructor(store: RegisterStore) {
    this.#store = store;
  }

  declare(ranges: DesiredState['ranges']): void {
    this.#declared = new Map(ranges.map(({ name, group }) => [name, group]));
  }

  /** Groups that are to go. */
  get draining(): readonly GroupName[] {
    return this.#store.read().draining ?? [];
  }

  /** Those of them that have nothing any more. */
  get drained(): readonly GroupName[] {
    return this.#store.read().drained ?? [];
  }

  /** New accounts are put into it, for all that is stored. */
  takesAccounts(range: RangeName): boolean {
    if (this.isMade(range)) return false;
    const groups = [this.placeOf(range), this.homeOf(range)];
    return !this.draining.some((group) => groups.includes(group));
  }

  /** The group that it was declared in. */
  homeOf(range: RangeName): GroupName | undefined {
    return declaredIn(this.#store.read(), range) ?? this.#declared.get(range);
  }

  /** They are to go, or are not any more; before anything of it is done. */
  async setDraining(groups: readonly GroupName[], draining: boolean): Promise<void> {
    const others = this.draining.filter((group) => !groups.includes(group));
    await this.#store.write({
      draining: draining ? [...others, ...groups] : others,
      drained: this.drained.filter((group) => !groups.includes(group)),
    });
  }

  /** Nothing is in them any more, and nothing can come. */
  async setDrained(groups: readonly GroupName[]): Promise<void> {
    await this.#store.write({ drained: [...new Set([...this.drained, ...groups])] });
  }

  /** Where a range's rows are, for all that is known here: see move-machine.ts. */
  placeOf(range: RangeName): GroupName | undefined {
    return this.#store.read().ranges?.[range];
  }

  /**
   * With ranges where they were moved to since they were declared, and those that no declaration knows: made
   * since, or declared in a group that goes. But for those that somebody is about to make; and empty ones of
   * a group that goes are forgotten with it.
   */
  placed(desired: DesiredState, beingMade: (range: RangeName) => boolean): DesiredState {
    const declared = new Set(desired.ranges.map(({ name }) => name));
    const groups = new Set(desired.groups.map(({ name }) => name));
    const others = this.known.flatMap((name) => {
      const group = this.placeOf(name);
      if (declared.has(name) || group === undefined || !groups.has(group)) return [];
      return beingMade(name) ? [] : [{ name, group }];
    });
    return {
      ...desired,
      ranges: [
        ...desired.ranges.map(({ name, group }) => ({ name, group: this.placeOf(name) ?? group })),
        ...others,
      ],
    };
  }

  /** Every one that there is, or will be. */
  get known(): readonly RangeName[] {
    return Object.keys(this.#store.read().ranges ?? {}).sort();
  }

  /** No declaration knows them. */
  get made(): readonly RangeName[] {
    return this.#store.read().madeRanges ?? [];
  }

  isMade(range: RangeName): boolean {
    return this.made.includes(range);
  }

  /** No declaration knows it, or will: it was made, or its group goes. */
  isOrphan(range: RangeName, { groups }: Pick<DesiredState, 'groups'>): boolean {
    return this.isMade(range) || !groups.some(({ name }) => name === this.homeOf(range));
  }

  /** Those of a group that new accounts are put into, in the order of their names. */
  declaredIn(group: GroupName): readonly RangeName[] {
    return [...this.#declared.keys()]
      .filter((range) => (this.placeOf(range) ?? this.#declared.get(range)) === group)
      .sort();
  }

  /** Moves that have not ended. */
  get moves(): Readonly<Record<RangeName, StoredMove>> {
    return this.#store.read().moves ?? {};
  }

  /** Transfers that have not ended, by number. */
  get transfers(): Readonly<Record<string, StoredTransfer>> {
    return this.#store.read().transfers ?? {};
  }

  /** Where a range's rows will be, before there can be any. */
  async placeRange(range: RangeName, group: GroupName): Promise<void> {
    if (this.placeOf(range) === group) return;
    await this.#store.write({ ranges: { ...this.#store.read().ranges, [range]: group } });
  }

  /** Before anything of it is done. */
  async beginMove(range: RangeName, move: StoredMove): Promise<void> {
    await this.#store.write({ moves: { ...this.moves, [range]: move } });
  }

  /** The other group has it, which its own database says. */
  async rangeMoved(range: RangeName, to: GroupName): Promise<void> {
    const { ranges = {}, movedFrom = {} } = this.#store.read();
    const declared = movedFrom[range] ?? ranges[range];
    const { [range]: _, ...others } = movedFrom;
    await this.#store.write({
      ranges: { ...ranges, [range]: to },
      movedFrom:
        declared === undefined || declared === to || this.isMade(range)
          ? others
          : { ...others, [range]: declared },
    });
  }

  /** Nothing of it is left to be done. */
  async endMove(range: RangeName): Promise<void> {
    const { [range]: _, ...others } = this.moves;
    await this.#store.write({ moves: others });
  }

  /** Before anything of it is done, and whenever what is stored of it changes. */
  async keepTransfer(number: string, transfer: StoredTransfer): Promise<void> {
    await this.#store.write({ transfers: { ...this.transfers, [number]: transfer } });
  }

  /** Nothing of it is left to be done. */
  async endTransfer(number: string): Promise<void> {
    const { [number]: _, ...others } = this.transfers;
    await this.#store.write({ transfers: others });
  }

  /** A name that no range has ever had, and where it will be: in one write with the transfer it is for. */
  async nameCarrier(
    number: string,
    transfer: StoredTransfer,
    group: GroupName,
  ): Promise<StoredTransfer> {
    const stored = this.#store.read();
    const rangeNumber = (stored.rangeNumber ?? 0) + 1;
    // Declared ones are r0001 and so on, however many there will be.
    const range = `s${String(rangeNumber).padStart(4, '0')}`;
    const next = { ...transfer, carriers: [...transfer.carriers, range] };
    await this.#store.write({
      rangeNumber,
      ranges: { ...stored.ranges, [range]: group },
      madeRanges: [...this.made, range],
      transfers: { ...this.transfers, [number]: next },
    });
    return next;
  }

  /** One that was made: its rows are somewhere else, and its schema is gone. */
  async forgetRange(range: RangeName): Promise<void> {
    const { [range]: _, ...ranges } = this.#store.read().ranges ?? {};
    await this.#store.write({ ranges, madeRanges: this.made.filter((name) => name !== range) });
  }
}
