import { once } from 'node:events';
import { Metadata, status } from '@grpc/grpc-js';
import type { Test } from 'tap';
import type {
  ClientConn,
  Destination,
  ServerOptions,
  StreamDirector,
  StreamParameters,
} from '../../lib/index.js';
import type { World } from './behaviour.js';
import { echo, failWith } from './grpc-backend.js';
import type { BidiCall, CallResult, GrpcClient } from './grpc-client.js';
import { ProcessEvents } from './process-events.js';
import { within } from './within.js';

export const ECHO = '/test.Service/Echo';
/** A method that the backend fails: ABORTED, `the backend’s own`. */
export const FAIL = '/test.Service/Fail';

type Parameters = (primary: Destination) => StreamParameters | Promise<StreamParameters>;

/**
 * Calls through a proxy to a backend, whose every hook a test may replace. Another call runs all the while, on the same
 * connections, and must not notice.
 */
export class ProxiedCalls {
  readonly events: ProcessEvents;
  readonly conn: ClientConn;
  readonly #client: GrpcClient;
  readonly #running: BidiCall;
  readonly #setDirector: (director: StreamDirector) => void;

  private constructor(
    events: ProcessEvents,
    conn: ClientConn,
    client: GrpcClient,
    setDirector: (director: StreamDirector) => void,
  ) {
    this.events = events;
    this.conn = conn;
    this.#client = client;
    this.#setDirector = setDirector;
    setDirector(() => ({ primary: { conn } }));
    this.#running = client.open(ECHO);
    // It ends with the test; before, who waits for its echo hears of it.
    this.#running.on('error', () => {});
  }

  static async start(t: Test, world: World, options: ServerOptions = {}): Promise<ProxiedCalls> {
    const events = new ProcessEvents(t);
    const backend = await world.grpcBackend({
      [ECHO]: echo,
      [FAIL]: failWith(status.ABORTED, 'the backend’s own'),
    });
    const conn = world.dial(backend.port);
    let director: StreamDirector;
    const proxy = await world.proxy((ctx, method, peeker) => director(ctx, method, peeker), options);
    const calls = new ProxiedCalls(events, conn, world.grpcClient(proxy.port), (next) => {
      director = next;
    });
    await calls.#echo();
    return calls;
  }

  /** Makes a call whose destinations are made by `parameters`. */
  async call(parameters: Parameters, method = ECHO, timeout?: string): Promise<CallResult> {
    return this.direct(() => parameters({ conn: this.conn }), method, timeout);
  }

  /**
   * The same with a whole director.
   *
   * @throws Error if the call does not end, the other one is harmed, or something would have ended the process
   */
  async direct(director: StreamDirector, method = ECHO, timeout?: string): Promise<CallResult> {
    this.#setDirector(director);
    const metadata = new Metadata();
    if (timeout !== undefined) metadata.set('grpc-timeout', timeout);
    const result = await within(2000, 'the call', this.#client.call(method, ['hi'], metadata));
    await this.#echo();
    await this.events.settled();
    const { fatal } = this.events;
    if (fatal.length > 0) throw new Error(`it would have ended the process: ${fatal.join()}`);
    return result;
  }

  /** The call that runs all the while still does. */
  async #echo(): Promise<void> {
    const echoed = once(this.#running, 'data');
    this.#running.write(Buffer.from('still there'));
    await within(2000, 'an echo on the other call', echoed);
  }
}
