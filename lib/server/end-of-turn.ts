import { immediatelyOutside } from '../port/outside-of-calls.js';

/** Who waits for what else comes in a turn of the event loop. */
interface Waiting {
  /** Must not throw. */
  onEndOfTurn(): void;
}

let waiting: Waiting[] = [];

/** Tells once everything has been delivered that came together with what is being delivered now. */
export function awaitEndOfTurn(one: Waiting): void {
  // One timer for all, so that a call costs next to nothing.
  if (waiting.push(one) === 1) immediatelyOutside(tell);
}

function tell(): void {
  const all = waiting;
  waiting = [];
  for (const one of all) one.onEndOfTurn();
}
