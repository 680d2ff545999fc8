import net from 'node:net';
import tls from 'node:tls';
import { percentile } from '../measure/statistics.js';
import { messageOf } from '../wire/message.js';
import { CallDriver, type CallLedger } from './call-driver.js';
import type { Destination, LoadResult, Traffic } from './traffic.js';

/** How often it is looked whether calls are to be begun, where that does not follow from the end of others. */
const PACE_MILLISECONDS = 2;

/** What the process is told. */
interface Task {
  readonly traffic: Traffic;
  readonly destination: Destination;
  readonly amount: { readonly calls: number } | { readonly seconds: number };
}

const { traffic, destination, amount }: Task = JSON.parse(process.argv[2]!);

class Ledger implements CallLedger {
  readonly durations: number[] = [];
  failed = 0;
  #begun = 0;
  #ended = 0;
  #start = 0;
  #stopAt = Number.POSITIVE_INFINITY;

  start(): void {
    this.#start = performance.now();
    if ('seconds' in amount) this.#stopAt = this.#start + amount.seconds * 1000;
  }

  begin(): boolean {
    if (this.#isOver || this.#begun >= this.#due) return false;
    this.#begun++;
    return true;
  }

  get #isOver(): boolean {
    return 'calls' in amount ? this.#begun >= amount.calls : performance.now() >= this.#stopAt;
  }

  /** How many calls are to have begun by now. */
  get #due(): number {
    const { callsPerSecond = Number.POSITIVE_INFINITY } = traffic;
    return ((performance.now() - this.#start) / 1000) * callsPerSecond;
  }

  /** Goes on where nothing has ended that would. */
  keepPace(): void {
    for (const driver of drivers) driver.fill();
    this.#onIdle();
  }

  end(milliseconds: number, failed: boolean): void {
    this.durations.push(milliseconds);
    if (failed) this.failed++;
    this.#ended++;
    if (this.#ended === this.#begun) setImmediate(this.#onIdle);
  }

  readonly #onIdle = (): void => {
    if (this.#ended === this.#begun && this.#isOver) finish((performance.now() - this.#start) / 1000);
  };
}

const ledger = new Ledger();
const message = messageOf(traffic.messageBytes);
const drivers: CallDriver[] = [];
let pace: NodeJS.Timeout | undefined;

function finish(seconds: number): void {
  clearInterval(pace);
  for (const driver of drivers) driver.close();
  const durations = Float64Array.from(ledger.durations).sort();
  const result: LoadResult = {
    calls: durations.length,
    failed: ledger.failed,
    seconds,
    p50Milliseconds: percentile(durations, 0.5),
    p99Milliseconds: percentile(durations, 0.99),
  };
  console.log(JSON.stringify(result));
}

const sockets = await Promise.all(
  Array.from(
    { length: traffic.connections },
    () =>
      new Promise<net.Socket>((resolve, reject) => {
        const { port, secure } = destination;
        const socket = secure
          ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
          : net.connect(port, '127.0.0.1');
        socket.once(secure ? 'secureConnect' : 'connect', () => resolve(socket));
        socket.once('error', reject);
      }),
  ),
);
ledger.start();
for (const socket of sockets) drivers.push(new CallDriver(socket, traffic, message, ledger));
if (traffic.callsPerSecond !== undefined) pace = setInterval(() => ledger.keepPace(), PACE_MILLISECONDS);
