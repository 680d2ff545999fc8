import type { Failure } from '../call/outcome.js';
import { encodeMessage, MessageParser } from '../grpc/framing.js';
import { decodeHealthCheckResponse, encodeHealthCheckRequest, HEALTH_WATCH_METHOD } from '../grpc/health.js';
import { Metadata } from '../grpc/metadata.js';
import { Code } from '../grpc/status.js';
import { NO_HOLDER } from '../port/account.js';
import type { ConnectionEnd } from '../port/connection-end.js';
import { ErrorCode } from '../port/error-code.js';
import { outsideOfCalls } from '../port/outside-of-calls.js';
import type { CallReceiver } from './call-receiver.js';
import type { CallChannel, CallRoute } from './call-route.js';
import { ConnectionBackoff } from './channel/backoff.js';
import { READY as READY_CHANNEL } from './channel/connectivity.js';
import type { HealthWatch, WatchedAddress } from './channel/health.js';
import { ClientShare } from './channel/lanes.js';
import type { PickedConnection } from './channel/picker.js';
import { READY, type SubchannelState } from './channel/subchannel-state.js';
import { ClientCall } from './client-call.js';
import type { OutgoingRequest } from './outgoing-request.js';
import { cannotConnect } from './unavailable.js';

/** Between the beginnings of two calls, however short they are. */
const PACE_MILLISECONDS = 100;

/** A status takes two bytes; a later version may say more. */
const MAX_MESSAGE_BYTES = 4096;

/** How soon it is tried again where no connection has room to ask. */
const NO_ROOM_MILLISECONDS = 1000;

/** What is asked of an address. */
export interface HealthCheck {
  /** As messages call the backend. */
  readonly target: string;
  readonly scheme: 'http' | 'https';
  /** The service whose health it is; empty: that of the server as a whole. */
  readonly service: string;
}

/**
 * Asks an address by the streaming method `Watch` of grpc.health.v1 whether it is fit for calls (gRFC A17), for as long as
 * there are connections to it.
 *
 *     resting ─ start → asking ─ the call ends → backing off ─→ asking
 *        ↑                └──────── stop ───────────────┘
 */
export class AddressHealth implements HealthWatch, CallReceiver {
  readonly #check: HealthCheck;
  readonly #route: CallRoute;
  readonly #onHealth: (state: SubchannelState) => void;
  readonly #backoff = new ConnectionBackoff();
  #call: ClientCall | undefined;
  #parser: MessageParser | undefined;
  #startedAt = 0;
  /** The call that runs has told something. */
  #isTold = false;
  #timer: NodeJS.Timeout | undefined;
  #isResting = true;

  constructor(check: HealthCheck, address: WatchedAddress, onHealth: (state: SubchannelState) => void) {
    this.#check = check;
    this.#route = {
      target: check.target,
      scheme: check.scheme,
      channel: new WatchChannel(address, check.target, () => this.#move()),
    };
    this.#onHealth = onHealth;
  }

  start(): void {
    if (!this.#isResting) return;
    this.#isResting = false;
    this.#backoff.reset();
    this.#ask();
  }

  stop(): void {
    this.#isResting = true;
    clearTimeout(this.#timer);
    this.#call?.cancel();
    this.#call = undefined;
  }

  onOpen(): void {
    this.#call?.sendData(encodeMessage(encodeHealthCheckRequest(this.#check.service)), true);
  }

  onOpenFailed(failure: Failure): void {
    this.onFinish(failure);
  }

  onHeaders(): void {}

  onData(chunk: Buffer): void {
    try {
      this.#parser?.push(chunk);
    } catch (error) {
      this.#fail(`its health cannot be read: ${(error as Error).message}`);
      this.#move();
    }
  }

  onDrain(): void {}

  onFinish(failure: Failure | undefined): void {
    this.#call = undefined;
    if (this.#isResting) return;
    // What does not know the method is fit (gRFC A17), and not asked again while there are connections.
    if (failure?.reason === 'backend_status' && failure.error.code === Code.UNIMPLEMENTED) {
      this.#tell(READY);
      return;
    }
    // All connections are full, which says nothing of its health.
    if (failure?.reason === 'backend_connect') this.#backoff.space(this.#startedAt, NO_ROOM_MILLISECONDS);
    else this.#onFailed(failure);
    this.#schedule();
  }

  #onFailed(failure: Failure | undefined): void {
    const isTold = this.#isTold;
    this.#space();
    // One connection of several may be lost, which is nothing to the others: its last word holds until it is asked anew,
    // which is at once.
    if (isTold && failure !== undefined && failure.reason !== 'backend_status') return;
    this.#fail(`its health cannot be watched: ${failure?.error.message ?? 'the call has ended'}`);
  }

  #ask(): void {
    this.#startedAt = performance.now();
    this.#isTold = false;
    this.#parser = new MessageParser((payload) => this.#onMessage(payload), MAX_MESSAGE_BYTES);
    this.#call = new ClientCall(this.#route, watchRequest(), this, NO_HOLDER);
    outsideOfCalls(() => this.#call?.start());
  }

  /** By gRFC A17 the next call waits for a backoff only where this one has told nothing; but a backend must not set the pace. */
  #space(): void {
    if (this.#isTold) {
      this.#backoff.reset();
      this.#backoff.space(this.#startedAt, PACE_MILLISECONDS);
    } else {
      this.#backoff.onFailure(this.#startedAt);
    }
  }

  #schedule(): void {
    const ask = (): void => this.#ask();
    this.#timer = outsideOfCalls(() => setTimeout(ask, Math.ceil(this.#backoff.remaining)).unref());
  }

  /** The connection takes no more streams, and must not be held by this one. */
  #move(): void {
    if (this.#isResting || this.#call === undefined) return;
    this.#call.cancel();
    this.#call = undefined;
    this.#space();
    this.#schedule();
  }

  #onMessage(payload: Buffer): void {
    const status = decodeHealthCheckResponse(payload);
    this.#isTold = true;
    if (status === 'SERVING') this.#tell(READY);
    else this.#fail(`it says that it is ${status}`);
  }

  #fail(text: string): void {
    const end: ConnectionEnd = { cause: 'connect', code: ErrorCode.NO_ERROR, text, error: undefined };
    this.#tell({ name: 'failed', end, wasReady: false });
  }

  /** Not from inside of the stream that says so. */
  #tell(state: SubchannelState): void {
    process.nextTick(this.#onHealth, state);
  }
}

/** The call is made anew for each connection; nothing but it asks for one here. */
class WatchChannel implements CallChannel {
  readonly state = READY_CHANNEL;
  readonly #address: WatchedAddress;
  readonly #target: string;
  readonly #onLeaving: () => void;
  readonly #share = new ClientShare();

  constructor(address: WatchedAddress, target: string, onLeaving: () => void) {
    this.#address = address;
    this.#target = target;
    this.#onLeaving = onLeaving;
  }

  shareOf(): ClientShare {
    return this.#share;
  }

  begin(): undefined {}

  end(): void {}

  pick(): PickedConnection | undefined {
    const watched = this.#address.pickForWatch();
    if (watched === undefined) return undefined;
    return {
      connection: watched.connection,
      authority: watched.authority,
      onCallBegun: () => watched.onCallBegun(this.#onLeaving),
      onCallEnded: () => watched.onCallEnded(),
    };
  }

  wait(): Failure {
    return cannotConnect(this.#target, NO_ROOM);
  }

  waitRefused(): Failure {
    return { ...cannotConnect(this.#target, REFUSED), reason: 'backend_reset' };
  }

  /** Without a policy no call does. */
  backOff(): void {}

  stopWaiting(): void {}
}

const NO_ROOM = localEnd('no connection to it has room for a stream');
const REFUSED = localEnd('it has not taken the stream');

function localEnd(text: string): ConnectionEnd {
  return { cause: 'local', code: ErrorCode.NO_ERROR, text, error: undefined };
}

function watchRequest(): OutgoingRequest {
  return {
    context: {
      method: HEALTH_WATCH_METHOD,
      headers: ['content-type', 'application/grpc'],
      hasOwnMetadata: false,
      metadata: new Metadata(),
      authority: undefined,
      deadline: undefined,
      ownSignals: [],
    },
    options: {},
    credentials: undefined,
    inheritsEnd: false,
    retries: undefined,
  };
}
