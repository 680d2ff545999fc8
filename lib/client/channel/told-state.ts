import type { Failure } from '../../call/outcome.js';
import { cannotConnect, connectionLost } from '../unavailable.js';
import { CONNECTING, type ConnectivityState, IDLE, READY, SHUTDOWN } from './connectivity.js';
import type { SubchannelState } from './subchannel-state.js';

const STATES = { idle: IDLE, connecting: CONNECTING, ready: READY, shutdown: SHUTDOWN } as const;

/** @param target what messages call it */
export function connectivityOf(state: SubchannelState, target: string): ConnectivityState {
  return state.name === 'failed'
    ? { name: 'TRANSIENT_FAILURE', error: failureOf(state, target).error }
    : STATES[state.name];
}

/** What calls fail with while no connection can be made. */
export function failureOf(
  { end, wasReady }: Pick<SubchannelState & { readonly name: 'failed' }, 'end' | 'wasReady'>,
  target: string,
): Failure {
  return (wasReady ? connectionLost : cannotConnect)(target, end);
}
