import type { RunningCallState } from '../call/observer.js';
import type { RequestFanout } from './fanout.js';

/** Where a call is. */
export type Phase =
  /** The director thinks; it may peek. */
  | { readonly name: 'directing' }
  /** Streams are being opened, this many still. */
  | { readonly name: 'opening'; remaining: number }
  /** The request is poured into the destinations, and the primary's response to the client. */
  | { readonly name: 'pouring'; readonly fanout: RequestFanout }
  /** The outcome is known. */
  | { readonly name: 'settled' };

export const DIRECTING: Phase = { name: 'directing' };
export const SETTLED: Phase = { name: 'settled' };

/** What observers are told of it. */
export const STATES: Readonly<Record<Phase['name'], RunningCallState>> = {
  directing: 'directing',
  opening: 'connecting',
  pouring: 'streaming',
  settled: 'finishing',
};
