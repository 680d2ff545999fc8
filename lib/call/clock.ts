/** Milliseconds since the epoch, on a clock that is never set back: what deadlines are measured by. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
