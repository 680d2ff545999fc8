import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Backends, startBackends } from './backend/start-backends.js';
import type { Case } from './cases.js';
import type { Certificate } from './certificate.js';
import { type Child, freePort } from './child.js';
import { ownLoad } from './load/own-load.js';
import type { CountedLoad, Destination } from './load/traffic.js';
import { endedChildrenCpuMicroseconds, processUsage } from './measure/process-usage.js';
import type { Peer } from './peers/peer.js';

/** One peer in one case in one round. */
export interface Sample {
  readonly calls: number;
  readonly failed: number;
  readonly cpuMicrosecondsPerCall: number;
  readonly callsPerSecond: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  /** Of the proxy, since its start. */
  readonly peakRssBytes: number;
  /** Cores that the proxy, the backends and the load have kept busy: which of them was the bottleneck. */
  readonly proxyCores: number;
  readonly backendCores: number;
  readonly loadCores: number;
}

/** A round of this many calls is long enough to tell something, however slow the peer is. */
const MINIMUM_CALLS = 20;

/**
 * Node's optimising compiler is done after so much CPU of the proxy, or so many calls: figures then stay the same from
 * round to round. Fewer calls are not enough on the engine, where 10 000 take 60 ms: the first rounds took twice as long.
 */
const WARM_UP_CPU_MICROSECONDS = 2_500_000;
const WARM_UP_CALLS = 400_000;
const WARM_UP_STEP_SECONDS = 0.4;
/**
 * How much of a round the proxy is to compute for; natively fast ones wait for the load and the backend about as
 * long. CPU rather than time, because another process's work must not make the round short.
 */
const BUSY_SHARE = 0.5;
/** Before each round the peer has idled while others were measured: as much of a round goes before it, unmeasured. */
const PRELUDE_SHARE = 0.25;
/** On a machine that is busy with other things there must be an end, too. */
const WARM_UP_MAX_STEPS = 12;

/** One peer, set up for one case, with backends of its own. */
export class Cell {
  readonly case: Case;
  readonly peer: Peer;
  readonly samples: Sample[] = [];
  readonly #load: CountedLoad;
  readonly #backends: Backends;
  readonly #proxy: Child;
  readonly #port: number;
  #cpuMicrosecondsPerCall = 0;

  private constructor(
    theCase: Case,
    peer: Peer,
    load: CountedLoad,
    backends: Backends,
    proxy: Child,
    port: number,
  ) {
    this.case = theCase;
    this.peer = peer;
    this.#load = load;
    this.#backends = backends;
    this.#proxy = proxy;
    this.#port = port;
  }

  static async start(
    theCase: Case,
    peer: Peer,
    load: CountedLoad,
    directory: string,
    certificate: Certificate | undefined,
  ): Promise<Cell> {
    const own = join(directory, `${theCase.name}-${peer.name}`);
    mkdirSync(own);
    const { backend, answerBytes, secondaries, shadows } = theCase;
    const backends = await startBackends({
      mode: backend,
      answerBytes,
      count: 1 + secondaries + shadows,
      tls: certificate,
    });
    const port = await freePort();
    const setup = { listenPort: port, backendPorts: backends.ports, shadows, certificate, directory: own };
    const proxy = peer.start(setup);
    const cell = new Cell(theCase, peer, load, backends, proxy, port);
    try {
      await proxy.listening(port);
    } catch (error) {
      await cell.stop();
      throw error;
    }
    return cell;
  }

  /** Lets compilers and pools settle, and finds out what a call costs. */
  async warmUp(): Promise<void> {
    const { traffic } = this.case;
    let total = 0;
    for (let step = 0; step < WARM_UP_MAX_STEPS; step++) {
      // By time with our own load: h2load then leaves calls behind, which not every peer survives, nor h2load itself.
      const before = processUsage(this.#proxy.pid).cpuMicroseconds;
      const { calls } = await ownLoad.run(traffic, this.#destination, {
        seconds: WARM_UP_STEP_SECONDS,
      });
      const { cpuMicroseconds } = processUsage(this.#proxy.pid);
      this.#cpuMicrosecondsPerCall = (cpuMicroseconds - before) / calls;
      total += calls;
      if (total >= WARM_UP_CALLS || cpuMicroseconds >= WARM_UP_CPU_MICROSECONDS) return;
    }
  }

  /** One round: a number of calls, not a time, so that no call is measured in part. */
  async measure(seconds: number): Promise<Sample> {
    const { traffic } = this.case;
    const wanted = Math.round((seconds * 1e6 * BUSY_SHARE) / this.#cpuMicrosecondsPerCall);
    const calls = Math.max(MINIMUM_CALLS, wanted);
    await this.#load.run(traffic, this.#destination, { calls: Math.ceil(calls * PRELUDE_SHARE) });
    const backendBefore = processUsage(this.#backends.child.pid);
    const before = processUsage(this.#proxy.pid);
    const loadBefore = endedChildrenCpuMicroseconds();
    const start = performance.now();
    const result = await this.#load.run(traffic, this.#destination, { calls });
    const microseconds = (performance.now() - start) * 1000;
    const after = processUsage(this.#proxy.pid);
    const backendAfter = processUsage(this.#backends.child.pid);
    const sample: Sample = {
      calls: result.calls,
      failed: result.failed,
      cpuMicrosecondsPerCall: (after.cpuMicroseconds - before.cpuMicroseconds) / result.calls,
      callsPerSecond: result.calls / result.seconds,
      p50Milliseconds: result.p50Milliseconds,
      p99Milliseconds: result.p99Milliseconds,
      peakRssBytes: after.peakRssBytes,
      proxyCores: (after.cpuMicroseconds - before.cpuMicroseconds) / microseconds,
      backendCores: (backendAfter.cpuMicroseconds - backendBefore.cpuMicroseconds) / microseconds,
      loadCores: (endedChildrenCpuMicroseconds() - loadBefore) / microseconds,
    };
    this.samples.push(sample);
    return sample;
  }

  async stop(): Promise<void> {
    await this.#proxy.stop();
    await this.#backends.child.stop();
  }

  get #destination(): Destination {
    return { port: this.#port, secure: this.case.secure };
  }
}
