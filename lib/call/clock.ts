/** Milliseconds since the epoch, on a clock that is never set back: what deadlines are measured by. */
export function now(): number {
  return ORIGIN + CLOCK.now();
}

/** Taken once: the global is a getter, which Node 20 calls each time; and so is the origin. */
const CLOCK = performance;
const ORIGIN = CLOCK.timeOrigin;
