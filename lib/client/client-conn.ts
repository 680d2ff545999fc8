import type { ConnectionOptions, SecureContextOptions } from 'node:tls';
import { inspect } from 'node:util';
import { unlessAborted } from '../port/abort.js';
import { checkedAuthority } from '../port/address.js';
import { brand, ofAnotherCopy } from '../port/brand.js';
import { ownError, wrongType, wrongValue } from '../port/errors.js';
import { checkedFlag, checkOptions, checkSignal, type OptionNames, signalOf } from '../port/options.js';
import { shownAs } from '../port/shown.js';
import {
  type BackendAddress,
  type DialTarget,
  parseTarget,
  type Target,
  targetText,
} from '../port/target.js';
import { BackendKeepalive } from '../transport/backend-keepalive.js';
import { checkedLimits } from '../transport/check-limits.js';
import { ClientTls } from '../transport/client-tls.js';
import type { ClientHttp2Session } from '../transport/http2/node-types.js';
import { isClientHttp2Session } from '../transport/http2/session-connection.js';
import { SessionDialer } from '../transport/http2/session-dialer.js';
import { DEFAULT_DIAL_LIMITS, type DialLimits, type GivenLimits } from '../transport/limits.js';
import type { TransportName } from '../transport/transport-name.js';
import { checkedTransport, createDialer } from '../transport/transports.js';
import { AddressHealth } from './address-health.js';
import type { Backend } from './channel/backend.js';
import { Channel } from './channel/channel.js';
import type {
  AddressState,
  ConnectionCounts,
  ConnectivityState,
  ConnectivityStateName,
} from './channel/connectivity.js';
import { STATE_NAMES } from './channel/connectivity.js';
import type { WatchHealth } from './channel/health.js';
import { LOAD_BALANCING, type LoadBalancing } from './channel/load-balancing.js';
import type { ClientStream, ClientStreamOptions } from './client-stream.js';
import { OutgoingCall } from './outgoing-call.js';
import { ownRequest } from './own-request.js';
import { RetryThrottle, type RetryThrottling } from './retry-throttle.js';

/** How connections to a backend are made. */
export interface DialOptions {
  /**
   * Options of `tls.connect()` (`ca`, `key`, `cert`, `servername`, …) for an `https://` target; for another kind of
   * target they turn TLS on. By default those are without TLS, and an `https://` one has Node's authorities.
   */
  readonly tls?: ConnectionOptions | undefined;
  /** What speaks HTTP/2: `http2` (node:http2), the default, or `frames` (this package's own engine). */
  readonly transport?: TransportName | undefined;
  /**
   * How calls are spread where the target has several addresses; default `round_robin`. With one address there is
   * nothing to choose.
   */
  readonly loadBalancing?: LoadBalancing | undefined;
  /**
   * Whether one of several addresses is left out for a while when five calls in a row have failed there with UNAVAILABLE,
   * for 30 s at first and at most 300 s, at most half of the addresses at a time, and never the last one; default true.
   */
  readonly outliers?: boolean | undefined;
  /**
   * Lets an address take calls only while its `grpc.health.v1.Health/Watch` says that the service is SERVING (gRFC A17).
   * An address that does not know the method is fit. By default none is asked.
   */
  readonly healthCheck?:
    | {
        /** The service that is asked for; empty: the server as a whole. */
        readonly service: string;
      }
    | undefined;
  /** When retries by a policy are held back, whichever calls they are of (gRFC A6); default 200 tokens, ratio 0.1. */
  readonly retryThrottling?: RetryThrottling | undefined;
  /** `:authority` of requests; by default the target's host and port. */
  readonly authority?: string | undefined;
  /** Sends the `:authority` that the client asked for, if it did; `callOptions.authority` goes before it. Default false. */
  readonly preserveAuthority?: boolean | undefined;
  /** What a backend may cost, and what is asked of it; see {@link DialLimits} for the defaults. */
  readonly limits?: GivenLimits<DialLimits> | undefined;
  /** @deprecated in 0.2.0: one of {@link limits}, which goes before this and has the default. */
  readonly connectTimeoutMilliseconds?: number | undefined;
  /** @deprecated in 0.2.0: one of {@link limits}, which goes before this and has the default. */
  readonly maxConnections?: number | undefined;
}

const DIAL_OPTIONS: OptionNames<DialOptions> = {
  tls: true,
  transport: true,
  loadBalancing: true,
  outliers: true,
  healthCheck: true,
  retryThrottling: true,
  authority: true,
  preserveAuthority: true,
  limits: true,
  connectTimeoutMilliseconds: true,
  maxConnections: true,
};

/** How long it is waited for the end of connections. */
export interface CloseConnOptions {
  /** Ends the waiting, and nothing else. By default it is waited for the end. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The connections to one backend, kept and shared by all calls to it: made when first needed, made anew when lost,
 * and left when the backend says that it is going away. Make one per backend, not one per call.
 */
export class ClientConn {
  /** The address it was dialled by. */
  readonly target: string;
  /** The default `:authority` of requests; undefined leaves it to the transport. */
  readonly authority: string | undefined;
  /** @internal */
  readonly channel: Channel;
  /** @internal What holds the retries of its calls back. */
  readonly retryThrottle: RetryThrottle;
  /** @internal Whether requests carry the `:authority` that the client asked for. */
  readonly preservesAuthority: boolean;
  readonly #isSecure: () => boolean;
  readonly #tls: ClientTls | undefined;

  private constructor(
    target: string,
    authority: string | undefined,
    channel: Channel,
    isSecure: () => boolean,
    tls: ClientTls | undefined,
    retryThrottle: RetryThrottle,
    preservesAuthority: boolean,
  ) {
    this.target = target;
    this.authority = authority;
    this.channel = channel;
    this.#isSecure = isSecure;
    this.#tls = tls;
    this.retryThrottle = retryThrottle;
    this.preservesAuthority = preservesAuthority;
  }

  /** @internal For {@link dial}; `isSecure` is asked once there is a connection. */
  static over(
    channel: Channel,
    target: string,
    authority: string | undefined,
    isSecure: () => boolean,
    tls?: ClientTls,
    retryThrottle = new RetryThrottle(),
    preservesAuthority = false,
  ): ClientConn {
    return new ClientConn(target, authority, channel, isSecure, tls, retryThrottle, preservesAuthority);
  }

  /** @internal Whether a value is one of this copy of the package: no other is of use. */
  static is(value: unknown): value is ClientConn {
    return typeof value === 'object' && value !== null && #isSecure in value;
  }

  /** `https` over TLS, else `http`; of a session that is connecting it is known once it is connected. */
  get scheme(): 'http' | 'https' {
    return this.#isSecure() ? 'https' : 'http';
  }

  /** Whether the backend can be reached, by the states of gRPC's connectivity API. */
  get state(): ConnectivityState {
    return this.channel.state;
  }

  /** The addresses that the target is known to have, each as it stands; a name has none before it is resolved. */
  get addresses(): AddressState[] {
    return this.channel.addresses;
  }

  /** What has gone wrong with its connections since it was dialled; each time as it is then. */
  get counts(): ConnectionCounts {
    return this.channel.counts;
  }

  /** Makes a connection now if there is none, in place of with the next call. */
  connect(): void {
    this.channel.connect();
  }

  /**
   * Waits until the state is another than `from`.
   *
   * @returns the new state
   * @throws the signal's reason when it aborts; TypeError for a state that there is not, or what is no signal
   */
  async waitForStateChange(from: ConnectivityStateName, signal?: AbortSignal): Promise<ConnectivityState> {
    if (!STATE_NAMES.includes(from)) throw wrongValue('a state', `one of ${STATE_NAMES.join(', ')}`, from);
    checkSignal('signal', signal);
    return this.channel.waitForStateChange(from, signal);
  }

  /**
   * Sets authorities, client certificate, key and the like for the next handshakes; what is not given stays as it is, and
   * connections go on as they are.
   *
   * @throws Error (`ERR_TLS_OPTIONS`) that says what is wrong, a key of another certificate, say; Error (`ERR_NO_TLS`) for
   *   connections without TLS, or over a session of yours; TypeError for an option that is no `tls.SecureContextOptions`;
   *   then everything stays as it is
   */
  setSecureContext(options: SecureContextOptions): void {
    if (this.#tls === undefined) throw ownError('ERR_NO_TLS', `TLS to ${this.target} is not made here`);
    this.#tls.replace(options);
  }

  /**
   * Makes a call of this process's own, where nobody else's is proxied. It begins at once; what becomes of it is told by
   * what this returns.
   *
   * @param method `/package.Service/Method`
   * @throws TypeError or RangeError, which names it, for a method or an option that makes no sense
   */
  call(method: string, options: ClientStreamOptions = {}): ClientStream {
    return new OutgoingCall(this, ownRequest(method, options, this.retryThrottle));
  }

  /**
   * Fails new calls, and those that wait for a connection, with UNAVAILABLE, lets running ones finish, and closes the
   * connections; resolves when that is done.
   *
   * @throws TypeError for an option that makes no sense; the signal's reason when it aborts: if it has before, nothing is
   *   begun
   */
  async close(options: CloseConnOptions = {}): Promise<void> {
    const signal = signalOf(options);
    await unlessAborted(this.channel.close(), signal);
  }

  /** {@link close}, at the end of the block of an `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** For logs: the target, the name of the state, why it cannot be reached if so, and how many calls run. */
  toJSON(): object {
    const { target, state } = this;
    const shown = { target, state: state.name, calls: this.channel.calls };
    return 'error' in state ? { ...shown, error: state.error.message } : shown;
  }

  /** @internal */
  [inspect.custom](): object | string {
    return shown(() => this.toJSON());
  }

  /** Closes the connections at once: running calls fail with UNAVAILABLE. */
  destroy(): void {
    this.channel.destroy();
  }
}

brand(ClientConn, 'ClientConn');

/**
 * Prepares connections to a backend; they are made by the first call. Make one for each backend, and close it at the end.
 *
 *     const conn = dial('dns:///files.example:50051', { loadBalancing: 'least_request' });
 *
 * @param target one of these, or several, which are then the addresses of one backend:
 *   `http://HOST:PORT` (HTTP/2 without TLS), `https://HOST:PORT`, `unix:/PATH`, `HOST:PORT`, which means `http://`; and by
 *   gRPC's naming.md `dns:[//NAMESERVER[:PORT]/]HOST[:PORT]`, `ipv4:ADDRESS:PORT,…` and `ipv6:[ADDRESS]:PORT,…`. A name
 *   stands for all of its addresses, and is resolved again and again. Or a `URL`; or `{ host, port }` or `{ path }`, as
 *   `server.listen()` gives it, which is HTTP/2 without TLS
 * @throws TypeError or RangeError for a target that is none of these, an authority that cannot be sent, or an option that
 *   makes no sense; Error (`ERR_TLS_OPTIONS`) for a certificate, key or authority of no use
 * @category Start here
 */
export function dial(target: DialTarget | readonly DialTarget[], options: DialOptions = {}): ClientConn {
  const texts = (isList(target) ? target : [target]).map(targetText);
  if (texts.length === 0)
    throw ownError('ERR_INVALID_ARG_VALUE', 'a backend needs a target: the list is empty');
  checkOptions(options, DIAL_OPTIONS);
  const targets = texts.map(parseTarget);
  const [{ scheme, authority }] = targets as [Target];
  if (targets.some((each) => each.scheme !== scheme)) {
    throw ownError(
      'ERR_INVALID_ARG_VALUE',
      `${texts.join(', ')}: all targets of a backend must be with TLS (https://), or none`,
    );
  }
  const isSecure = scheme === 'https' || options.tls !== undefined;
  const tls = isSecure ? new ClientTls(options.tls ?? {}) : undefined;
  const limits = dialLimits(options);
  const transport = checkedTransport(options.transport ?? 'http2');
  const own = options.authority === undefined ? undefined : checkedAuthority('authority', options.authority);
  const name = texts.join(',');
  const keepalive = new BackendKeepalive(name, limits.keepalive);
  const backend: Backend = {
    name,
    targets,
    authority: own,
    loadBalancing: checkedLoadBalancing(options.loadBalancing ?? 'round_robin'),
    watchHealth: healthWatch(options.healthCheck, name, isSecure ? 'https' : 'http'),
    ejectsOutliers: checkedFlag('outliers', options.outliers, true),
    dialerOf: ({ address, serverName }) =>
      createDialer(transport, { address, serverName, tls, limits, keepalive }),
  };
  const channel = new Channel(backend, limits);
  const retryThrottle = new RetryThrottle(options.retryThrottling);
  const preservesAuthority = checkedFlag('preserveAuthority', options.preserveAuthority, false);
  return ClientConn.over(
    channel,
    name,
    own ?? authority,
    () => isSecure,
    tls,
    retryThrottle,
    preservesAuthority,
  );
}

function isList(target: DialTarget | readonly DialTarget[]): target is readonly DialTarget[] {
  return Array.isArray(target);
}

/** @throws TypeError or RangeError for one that makes no sense */
function dialLimits({ limits, connectTimeoutMilliseconds, maxConnections }: DialOptions): DialLimits {
  const byDefault = checkedLimits<DialLimits>(
    { connectTimeoutMilliseconds, maxConnections },
    DEFAULT_DIAL_LIMITS,
    'options',
  );
  return checkedLimits(limits, byDefault, 'limits');
}

/** @throws TypeError for what names no service */
function healthWatch(
  healthCheck: DialOptions['healthCheck'],
  target: string,
  scheme: 'http' | 'https',
): WatchHealth | undefined {
  if (healthCheck === undefined) return undefined;
  checkOptions(healthCheck, { service: true }, 'healthCheck');
  const { service } = healthCheck;
  if (typeof service !== 'string') throw wrongType('healthCheck.service', 'a string', service);
  return (address, onHealth) => new AddressHealth({ target, scheme, service }, address, onHealth);
}

/** @throws TypeError for an unknown policy */
function checkedLoadBalancing(policy: LoadBalancing): LoadBalancing {
  if (LOAD_BALANCING.includes(policy)) return policy;
  throw wrongValue('loadBalancing', `one of ${LOAD_BALANCING.join(', ')}`, policy);
}

const shown = shownAs('ClientConn');

const connsOfSessions = new WeakMap<ClientHttp2Session, ClientConn>();

/** The connection itself, or the one over a session that its owner connected and will close. */
export function toClientConn(conn: ClientConn | ClientHttp2Session): ClientConn {
  if (ClientConn.is(conn)) return conn;
  if (!isClientHttp2Session(conn)) {
    const what = `what dial() gave, or a ClientHttp2Session${ofAnotherCopy(conn, 'ClientConn')}`;
    throw ownError('ERR_INVALID_ARG_TYPE', `a destination needs a conn: ${what}`);
  }
  let known = connsOfSessions.get(conn);
  if (known === undefined) {
    const name = 'the given HTTP/2 session';
    // Two, so that one that goes away leaves room for the attempt that tells so.
    const limits = { ...DEFAULT_DIAL_LIMITS, maxConnections: 2 };
    const dialer = new SessionDialer(conn);
    // node:http2 fills in the authority that the session was connected with.
    const at: BackendAddress[] = [{ address: { path: name }, authority: undefined, serverName: '' }];
    const backend: Backend = {
      name,
      targets: [{ scheme: 'http', authority: '', at }],
      authority: undefined,
      loadBalancing: 'round_robin',
      watchHealth: undefined,
      ejectsOutliers: false,
      dialerOf: () => dialer,
    };
    const channel = new Channel(backend, limits);
    known = ClientConn.over(channel, name, undefined, () => conn.encrypted === true);
    connsOfSessions.set(conn, known);
  }
  return known;
}
