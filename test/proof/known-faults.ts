import type { TransportName } from '../../lib/index.js';
import type { Failure } from './load.js';

/** How a peer of the proxy loses calls, which have failed all the same. That it looks so is no proof that it was so. */
interface KnownFault {
  readonly transport: TransportName;
  readonly client: RegExp;
  readonly what: RegExp;
  readonly why: string;
}

/** Each is described in README.md here, and in lib/transport/http2/NODE-HTTP2.md, "The end of a connection". */
const KNOWN_FAULTS: readonly KnownFault[] = [
  {
    transport: 'http2',
    client: /^C-core by /,
    what: /^UNAVAILABLE: Received RST_STREAM with error code 7$/,
    why: 'it crossed the one GOAWAY of node:http2; C-core 1.51 does not try again what RST_STREAM(REFUSED_STREAM) refuses',
  },
  {
    transport: 'http2',
    client: / by nghttpx$/,
    what: /^INTERNAL: Received RST_STREAM with (error )?code 2\b/,
    why: 'nghttpx 1.52 resets streams that it has not opened when it sees GOAWAY, and nghttp2 ends the connection for it',
  },
  {
    transport: 'http2',
    client: /^C-core directly$/,
    what: /^INTERNAL: /,
    why: 'C-core 1.51 resets streams that it has not opened when it sees GOAWAY, and nghttp2 ends the connection for it',
  },
];

/** Where the proxy says GOAWAY. */
const PHASES_OF_GOAWAY = ['replicas one by one', 'workers one by one'];

/** Whose fault it looks like that this call was lost; undefined: nobody's that is known. */
export function knownFaultOf(failure: Failure, transport: TransportName): string | undefined {
  if (!PHASES_OF_GOAWAY.includes(failure.phase)) return undefined;
  return KNOWN_FAULTS.find(
    (fault) =>
      fault.transport === transport && fault.client.test(failure.client) && fault.what.test(failure.what),
  )?.why;
}
