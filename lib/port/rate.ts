/** How often something may happen: up to `burst` at once, and `perSecond` in the long run. */
export interface Rate {
  /** How often at once, after a time without any; above 0. */
  readonly burst: number;
  /** How many more each second allows, up to {@link burst}. */
  readonly perSecond: number;
}
