import { nextTickOutside } from '../../../port/outside-of-calls.js';

/** Something that holds what is to be delivered. */
interface Holder {
  /** Must not throw. */
  deliver(): void;
}

/**
 * How many deliver in one turn of the event loop. Thousands of calls may end with one client's connection; the others
 * would stand still for as long as that takes.
 */
const MAX_PER_TURN = 200;

/** Those that deliver once whoever has made them do so has returned; in order. */
let holders: Holder[] = [];
let isScheduled = false;

/** Calls `deliver` when what is running now has returned, and before the next event unless there are many. */
export function deliverLater(holder: Holder): void {
  holders.push(holder);
  if (isScheduled) return;
  isScheduled = true;
  nextTickOutside(deliverSome);
}

function deliverSome(): void {
  const now = holders;
  holders = [];
  isScheduled = now.length > MAX_PER_TURN;
  for (let i = 0; i < now.length && i < MAX_PER_TURN; i++) now[i]!.deliver();
  if (!isScheduled) return;
  holders = now.slice(MAX_PER_TURN).concat(holders);
  setImmediate(deliverSome);
}
