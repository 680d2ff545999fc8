import type { Failure } from '../call/outcome.js';
import type { Linked } from './linked-list.js';

/** What goes on of a call after its end. The end of the server waits for it as for calls. */
export interface Straggler extends Linked<Straggler> {
  /** The server waits no longer, and has forgotten it: it is to end now. */
  end(failure: Failure): void;
}
