/** Milliseconds since the epoch, on a clock that is never set back: what deadlines are measured by. */
export function now(): number {
  return ORIGIN + performance.now();
}

/** Read once: it is a getter. */
const ORIGIN = performance.timeOrigin;
