/** When a group has so much more to do than the others of its region that it is to be relieved. */
export interface HotGroupPolicy {
  /** Times the mean of the region's groups, in each interval that is looked at. */
  readonly imbalanceMin: number;
  /** Accesses in an interval below which nothing is hot. */
  readonly accessesMin: number;
}

export const HOT_GROUP_DEFAULTS: HotGroupPolicy = { imbalanceMin: 1.5, accessesMin: 1_000 };
