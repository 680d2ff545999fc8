import { TRANSPORTS, type Transports } from '../support/transports.js';
import { CLEARTEXT, TLS, type Wire } from '../support/wire.js';

/** Where calls are fuzzed: a pair of transports, and what lies under them. */
export interface Setting extends Transports {
  /** `SERVER/CLIENT`, and `+tls`. */
  readonly name: string;
  readonly wire: Wire;
}

export const SETTINGS: readonly Setting[] = TRANSPORTS.flatMap(({ server, client }) => [
  { server, client, name: `${server}/${client}`, wire: CLEARTEXT },
  { server, client, name: `${server}/${client}+tls`, wire: TLS },
]);
