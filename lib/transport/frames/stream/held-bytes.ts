/**
 * The bytes that all connections of the process together hold for receivers that are paused, and for peers
 * that don't read.
 */

/** Above this, connection windows are credited no more until something is consumed. */
const MAX_HELD_BYTES = 256 * 1024 * 1024;

/** Something that waits for held bytes to be consumed. */
export interface Waiter {
  onRoom(): void;
}

let held = 0;
let scheduled = false;
const waiters = new Set<Waiter>();

/** Whether there is room for more. */
export function hasRoom(): boolean {
  return held < MAX_HELD_BYTES;
}

/** Calls `onRoom` once there is room again. */
export function waitForRoom(waiter: Waiter): void {
  waiters.add(waiter);
}

export function stopWaiting(waiter: Waiter): void {
  waiters.delete(waiter);
}

/** How many bytes are held. */
export function heldBytes(): number {
  return held;
}

export function hold(bytes: number): void {
  held += bytes;
}

export function release(bytes: number): void {
  held -= bytes;
  if (waiters.size === 0 || scheduled || !hasRoom()) return;
  scheduled = true;
  setImmediate(tellWaiters);
}

function tellWaiters(): void {
  scheduled = false;
  const told = [...waiters];
  waiters.clear();
  for (const waiter of told) waiter.onRoom();
}
