/** What differs between engines, as data. The core branches on these and never on a name. */
export interface EngineCapabilities {
  /** Do we start its processes? */
  readonly lifecycle: 'managed' | 'external';
  /** Who promotes a new leader? 'none' until the engine can. */
  readonly failover: 'orchestrated' | 'self' | 'none';
  readonly survivalGoals: readonly ('zone' | 'region')[];
  readonly localities: readonly ('global' | 'regional')[];
  readonly localityMechanism: 'native' | 'emulated';
  /** Does moving a home move bytes through us? 'none' until ranges can move. */
  readonly rehome: 'metadata' | 'copy' | 'none';
  readonly followerReads: readonly ('bounded' | 'at-least')[];
  /** Are transactions over several groups atomic? */
  readonly crossGroupTransactions: boolean;
  readonly positionKind: 'lsn' | 'hlc';
  /** Strongest order the change stream promises; 'none' without one. */
  readonly changeOrder: 'transaction' | 'key' | 'none';
  readonly transactionalDdl: boolean;
}
