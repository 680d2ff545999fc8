/** How calls are counted unless it is said otherwise. */
export const METRICS_DEFAULTS = {
  /** Some hundred services; at most 15 KiB of text each, and as much for each of its targets. */
  maxMethods: 1000,
} as const;

/** What metrics may cost. */
export const METRICS_LIMITS = {
  /** Longer names of methods are counted with the others, unless a route names them. */
  maxMethodCharacters: 200,
  /** Backends of a configuration are fewer; but a director may dial what a client names. */
  maxTargets: 1000,
  /** Clients choose the names of methods: between two looks at those that routes name, at least so long. */
  routedNamesMilliseconds: 1000,
  /** Text is written for so long in one turn of the event loop, in which no call goes on. */
  turnMilliseconds: 1,
  /** So much text is encoded at a time. */
  chunkCharacters: 64 * 1024,
  /** The timer whose lateness is the event loop's lag: it takes 2 ms of CPU per second where nothing else goes on. */
  lagTimerMilliseconds: 20,
  /** Two readers of the lag, one soon after the other, are told the same. */
  lagWindowMilliseconds: 1000,
} as const;
