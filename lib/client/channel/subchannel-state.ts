import type { ConnectionEnd } from '../../port/connection-end.js';

/** Whether calls find connections, by what is known of them. */
export type SubchannelState =
  | { readonly name: 'idle' }
  | { readonly name: 'connecting' }
  | { readonly name: 'ready' }
  /** `wasReady`: the connection that has ended had been made. */
  | { readonly name: 'failed'; readonly end: ConnectionEnd; readonly wasReady: boolean }
  | { readonly name: 'shutdown' };

export const IDLE: SubchannelState = { name: 'idle' };
export const CONNECTING: SubchannelState = { name: 'connecting' };
export const READY: SubchannelState = { name: 'ready' };
export const SHUTDOWN: SubchannelState = { name: 'shutdown' };
