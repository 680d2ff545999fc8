import type { Dialer, ServerTransport, StreamAcceptor } from '../port/connection.js';
import { wrongValue } from '../port/errors.js';
import { FramesDialer } from './frames/dialer.js';
import { FramesServerTransport } from './frames/server-transport.js';
import { Http2Dialer } from './http2/dialer.js';
import { Http2ServerTransport } from './http2/server-transport.js';
import type { DialerOptions, ServerTransportOptions } from './options.js';
import { TRANSPORT_NAMES, type TransportName } from './transport-name.js';

/** @throws TypeError for an unknown name */
export function createServerTransport(
  name: TransportName,
  acceptor: StreamAcceptor,
  options: ServerTransportOptions,
): ServerTransport {
  switch (name) {
    case 'http2':
      return new Http2ServerTransport(acceptor, options);
    case 'frames':
      return new FramesServerTransport(acceptor, options);
    default:
      throw unknownTransport(name);
  }
}

/** @throws TypeError for an unknown name */
export function createDialer(name: TransportName, options: DialerOptions): Dialer {
  switch (name) {
    case 'http2':
      return new Http2Dialer(options);
    case 'frames':
      return new FramesDialer(options);
    default:
      throw unknownTransport(name);
  }
}

/** @throws TypeError for an unknown name */
export function checkedTransport(name: TransportName): TransportName {
  if (TRANSPORT_NAMES.includes(name)) return name;
  throw unknownTransport(name as never);
}

function unknownTransport(name: never): TypeError {
  return wrongValue('transport', `one of ${TRANSPORT_NAMES.join(', ')}`, name);
}
