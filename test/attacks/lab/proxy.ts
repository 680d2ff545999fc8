import { readdirSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import {
  type ClientConn,
  Code,
  dial,
  Server,
  StatusError,
  type TransportName,
  transparentHandler,
} from '../../../lib/index.js';
import { heldBytes } from '../../../lib/port/account.js';
import { answerQuestions, settingsOfChild } from './forked.js';

/** The proxy under attack, in a process of its own. */
export interface ProxySettings {
  /** Of the server, and of the connections to backends. */
  readonly transport: TransportName;
  /** Where the calls of a service go: `/SERVICE/method`. */
  readonly targets: Readonly<Record<string, string>>;
}

export interface ProxyMeasures {
  readonly rss: number;
  /** The highest since the last time that it was asked for. */
  readonly peakRss: number;
  /** All that JavaScript holds: the heap and the buffers outside of it. */
  readonly held: number;
  readonly fds: number;
  readonly runningCalls: number;
  /** What the library counts; undefined where it does not. */
  readonly heldBytes: number;
  /** Of calls since the start that ended otherwise than OK, by reason. */
  readonly failures: Readonly<Record<string, number>>;
  readonly calls: number;
  /** The longest that the event loop stood still since the last time that it was asked for, in milliseconds. */
  readonly stallMilliseconds: number;
}

const SAMPLE_MILLISECONDS = 20;

const { transport, targets } = settingsOfChild<ProxySettings>();
const conns = new Map<string, ClientConn>(
  Object.entries(targets).map(([service, target]) => [service, dial(target, { transport })]),
);
const failures: Record<string, number> = {};
let runningCalls = 0;
let calls = 0;
let peakRss = 0;
let stallMilliseconds = 0;
let lastSample = performance.now();

const proxied = transparentHandler((_ctx, method) => {
  const conn = conns.get(method.split('/')[1]!);
  if (conn === undefined) throw new StatusError(Code.UNIMPLEMENTED, `no backend for ${method}`);
  return { primary: { conn } };
});

const server = new Server({
  transport,
  unknownServiceHandler: (stream) => {
    runningCalls++;
    return proxied(stream);
  },
  observer: {
    onCall({ failure }) {
      calls++;
      if (failure !== undefined) failures[failure.reason] = (failures[failure.reason] ?? 0) + 1;
      // These never came to the handler.
      if (failure?.reason !== 'rejected' && failure?.reason !== 'no_route') runningCalls--;
    },
  },
});

setInterval(() => {
  peakRss = Math.max(peakRss, process.memoryUsage.rss());
  const time = performance.now();
  stallMilliseconds = Math.max(stallMilliseconds, time - lastSample - SAMPLE_MILLISECONDS);
  lastSample = time;
}, SAMPLE_MILLISECONDS).unref();

async function collectGarbage(): Promise<void> {
  // The memory of buffers is given back behind a collection's back.
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await turn();
  }
}

function measure(): ProxyMeasures {
  const { rss, heapUsed, external } = process.memoryUsage();
  const measures = {
    rss,
    peakRss: Math.max(peakRss, rss),
    held: heapUsed + external,
    fds: readdirSync('/proc/self/fd').length,
    runningCalls,
    heldBytes: heldBytes(),
    failures,
    calls,
    stallMilliseconds,
  };
  peakRss = 0;
  stallMilliseconds = 0;
  return measures;
}

const address = await server.listen('127.0.0.1:0');

answerQuestions(async (question) => {
  if (question === 'ready') return 'port' in address ? address.port : undefined;
  if (question === 'collect') await collectGarbage();
  return measure();
});
