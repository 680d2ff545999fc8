const EVERY_MILLISECONDS = 10;
/** By so much a timer is late anyway. */
const USUALLY_LATE_MILLISECONDS = 2;

let lost = 0;
let last = performance.now();

// A turn that is later than that has waited for the machine, or for what else this process does at the same time.
setInterval(() => {
  const time = performance.now();
  lost += Math.max(0, time - last - EVERY_MILLISECONDS - USUALLY_LATE_MILLISECONDS);
  last = time;
}, EVERY_MILLISECONDS).unref();

/**
 * Milliseconds in which this process got its turns: what is measured by it does not depend on how busy the machine is. For
 * the most that something may take; less of it passes than of the time that timers go by.
 */
export function ownTime(): number {
  return performance.now() - lost;
}
