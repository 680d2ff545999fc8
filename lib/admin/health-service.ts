/**
 * gRPC's own health protocol, `grpc.health.v1`, beside a proxy.
 *
 *     import { Server, transparentHandler } from 'grpc-frame-proxy';
 *     import { healthService } from 'grpc-frame-proxy/health';
 *
 *     const forward = transparentHandler(director);
 *     const server = new Server({ unknownServiceHandler: forward });
 *     healthService(server, { forward });
 *
 * @module grpc-frame-proxy/health
 */

import { tellOnlooker } from '../call/hooks.js';
import {
  decodeHealthCheckRequest,
  encodeHealthCheckResponse,
  encodeHealthListResponse,
  HEALTH_SERVICE,
  type ServingStatus,
} from '../grpc/health.js';
import { Code, StatusError } from '../grpc/status.js';
import { checkFunction, checkObject, checkOptions } from '../port/options.js';
import type { StreamHandler } from '../server/handler.js';
import type { Server } from '../server/server.js';
import type { ServerStream } from '../server/server-stream.js';

/** How health is answered. */
export interface HealthServiceOptions {
  /**
   * Handles the calls that ask for a service by its name, `transparentHandler(director)` say; by default none is known:
   * `Check` is NOT_FOUND, `Watch` SERVICE_UNKNOWN.
   */
  readonly forward?: StreamHandler | undefined;
  /** Called for each call that is answered here, when it begins to be; by default nobody is told. */
  readonly onAnswered?: (() => void) | undefined;
}

/**
 * Answers `grpc.health.v1` for a server as a whole, whose service name is empty, in front of whatever else it does:
 * SERVING until the server closes, and NOT_SERVING from then on, upon which `Watch` streams are told and ended.
 * Observers of the server hear nothing of the calls that are answered here.
 *
 * @throws Error (`ERR_SERVICE_REGISTERED`) if the server has that service already; TypeError for a server or an option that
 *   makes no sense
 * @see <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>
 */
export function healthService(server: Server, options: HealthServiceOptions = {}): HealthService {
  checkObject('the server', 'a Server', server, 'registerUnobserved');
  const health = new HealthService(options);
  const answer = (method: (stream: ServerStream) => Promise<void>): StreamHandler => method.bind(health);
  server.registerUnobserved(HEALTH_SERVICE, {
    Check: answer(health.check),
    Watch: answer(health.watch),
    List: answer(health.list),
  });
  server.closing.addEventListener('abort', () => health.stopServing(), { once: true });
  return health;
}

/** What {@link healthService} gives: whether the server serves, as its clients are told. */
export class HealthService {
  /**
   * Whether every call is forwarded, that for the server as a whole, too; without effect where there is no
   * {@link HealthServiceOptions.forward}. Can be set at any time; default false.
   */
  forwardsAll = false;
  readonly #forward: StreamHandler | undefined;
  readonly #onAnswered: () => void;
  /** Those who wait for the end of serving. */
  readonly #watchers = new Set<() => void>();
  #status: ServingStatus = 'SERVING';

  /** @internal For {@link healthService}. */
  constructor(options: HealthServiceOptions) {
    checkOptions(options, { forward: true, onAnswered: true });
    const { forward, onAnswered = () => {} } = options;
    checkFunction('forward', forward);
    checkFunction('onAnswered', onAnswered);
    this.#forward = forward;
    this.#onAnswered = () => tellOnlooker(onAnswered);
  }

  /** Whether clients are told SERVING. */
  get isServing(): boolean {
    return this.#status === 'SERVING';
  }

  /** Tells NOT_SERVING from now on, before the server closes, say; `Watch` streams are told, and end. */
  stopServing(): void {
    this.#status = 'NOT_SERVING';
    for (const tell of this.#watchers) tell();
  }

  /** @internal */
  async check(stream: ServerStream): Promise<void> {
    const service = await this.#ownService(stream);
    if (service === undefined) return;
    // "If the service name is not registered, the server returns a NOT_FOUND GRPC status." (health-checking.md)
    if (service !== '') throw new StatusError(Code.NOT_FOUND, 'unknown service');
    await stream.sendMessage(encodeHealthCheckResponse(this.#status));
  }

  /** @internal */
  async watch(stream: ServerStream): Promise<void> {
    const service = await this.#ownService(stream);
    if (service === undefined) return;
    // "If the requested service is unknown at the time the method is called, then the server will send an initial message
    // with the status set to SERVICE_UNKNOWN" (health-checking.md), and goes on.
    await stream.sendMessage(encodeHealthCheckResponse(service === '' ? this.#status : 'SERVICE_UNKNOWN'));
    if (!this.isServing) return;
    await this.#endOfServing(stream.context.signal);
    if (service === '' && stream.cancelled === undefined) {
      await stream.sendMessage(encodeHealthCheckResponse(this.#status));
    }
  }

  /** @internal */
  async list(stream: ServerStream): Promise<void> {
    if (this.forwardsAll && this.#forward !== undefined) return this.#forward(stream);
    this.#onAnswered();
    await stream.sendMessage(encodeHealthListResponse(this.#status));
  }

  /** The service that is asked for, if it is answered for here; else the call has been forwarded. */
  async #ownService(stream: ServerStream): Promise<string | undefined> {
    const service = this.forwardsAll ? undefined : await serviceOf(stream);
    if (service !== '' && this.#forward !== undefined) {
      await this.#forward(stream);
      return undefined;
    }
    this.#onAnswered();
    return service ?? serviceOf(stream);
  }

  #endOfServing(cancelled: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#watchers.delete(leave);
        cancelled.removeEventListener('abort', leave);
        resolve();
      };
      this.#watchers.add(leave);
      cancelled.addEventListener('abort', leave);
      if (cancelled.aborted) leave();
    });
  }
}

/** @throws StatusError INTERNAL for what is no request of grpc.health.v1 */
async function serviceOf(stream: ServerStream): Promise<string> {
  const [message] = await stream.peek();
  try {
    // As in all of protobuf, a message without a field is empty, and so is its payload.
    if (message !== undefined) return decodeHealthCheckRequest(message.payload);
  } catch {
    // Told below: what is wrong with it helps nobody.
  }
  throw new StatusError(Code.INTERNAL, 'the request is no HealthCheckRequest');
}
