import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { readSetup } from './node-peer.js';

// The least code that relays a call on node:http2: what any proxy on it must cost. It has no director, no peek, no
// statuses, no limits, no deadlines, no resets, no reconnecting; do not use it for anything but to compare with.
// Whatever makes it faster without leaving node:http2 belongs in here (bench/NOTEBOOK.md says what did not).

const setup = readSetup();
const WINDOW = 256 * 1024;
const CONNECTION_WINDOW = 4 * 1024 * 1024;
const options = {
  settings: { initialWindowSize: WINDOW, maxConcurrentStreams: 2 ** 31 - 1, enablePush: false },
  maxSessionMemory: Number.MAX_SAFE_INTEGER,
};
const secure = setup.certificate !== undefined;
const cert = setup.certificate && readFileSync(setup.certificate.cert);
const key = setup.certificate && readFileSync(setup.certificate.key);

const [primary, ...secondaries] = setup.backendPorts.map((port): ClientHttp2Session => {
  const session = http2.connect(`${secure ? 'https' : 'http'}://127.0.0.1:${port}`, { ...options, ca: cert });
  session.on('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW));
  return session;
});

/** The stream to pour into, and for a primary the trailers that it ended with. */
const peerOf = Symbol('peer');
const othersOf = Symbol('others');
const trailersOf = Symbol('trailers');
type Down = ServerHttp2Stream & {
  [peerOf]: ClientHttp2Stream;
  [othersOf]: ClientHttp2Stream[];
  [trailersOf]: OutgoingHttpHeaders;
};
type Up = ClientHttp2Stream & { [peerOf]: Down };

/** Node 24 and later take the list that came off the wire, which saves making an object. */
const takesLists = Number(process.versions.node.split('.')[0]) >= 24;
const respondOptions: object = { waitForTrailers: true, sendDate: false };

function onStream(down: Down, headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]): void {
  const request = (takesLists ? rawHeaders : headers) as OutgoingHttpHeaders;
  const up = primary!.request(request, OPEN) as Up;
  down[peerOf] = up;
  up[peerOf] = down;
  up.emit = emitUp as typeof up.emit;
  up.on('data', ignore);
  if (secondaries.length === 0) {
    down.emit = emitDown as typeof down.emit;
    down.on('data', ignore);
    return;
  }
  down[othersOf] = secondaries.map((session) => {
    const other = session.request(request, OPEN) as Up;
    other[peerOf] = down;
    other.emit = emitOther as typeof other.emit;
    other.resume();
    return other;
  });
  down.emit = emitDownForAll as typeof down.emit;
  down.on('data', ignore);
}

const OPEN = { endStream: false };

// In the place of listeners, each of which makes a stream emit `newListener`, too. Streams ask whether `data` has one.
type Emit = (
  this: object,
  event: string | symbol,
  first: object,
  flags: number,
  rawHeaders: string[],
) => boolean;
const emit = EventEmitter.prototype.emit as unknown as Emit;

function emitUp(this: Up, event: string, first: object, flags: number, rawHeaders: string[]): boolean {
  const down = this[peerOf];
  if (event === 'data') {
    if (!down.write(first as Buffer)) this.pause();
    return true;
  }
  if (event === 'response')
    down.respond((takesLists ? rawHeaders : first) as OutgoingHttpHeaders, respondOptions);
  else if (event === 'trailers') down[trailersOf] = first as OutgoingHttpHeaders;
  else if (event === 'end') down.end();
  else if (event === 'drain') down.resume();
  return emit.call(this, event, first, flags, rawHeaders);
}

function emitDown(this: Down, event: string, first: object, flags: number, rawHeaders: string[]): boolean {
  if (event === 'data') {
    if (!this[peerOf].write(first as Buffer)) this.pause();
    return true;
  }
  if (event === 'end') this[peerOf].end();
  return emitFromClient.call(this, event, first, flags, rawHeaders);
}

function emitDownForAll(
  this: Down,
  event: string,
  first: object,
  flags: number,
  rawHeaders: string[],
): boolean {
  if (event === 'data') {
    if (!this[peerOf].write(first as Buffer)) this.pause();
    for (const other of this[othersOf]) if (!other.write(first as Buffer)) this.pause();
    return true;
  }
  if (event === 'end') {
    this[peerOf].end();
    for (const other of this[othersOf]) other.end();
  }
  return emitFromClient.call(this, event, first, flags, rawHeaders);
}

function emitFromClient(
  this: Down,
  event: string,
  first: object,
  flags: number,
  rawHeaders: string[],
): boolean {
  if (event === 'drain') this[peerOf].resume();
  if (event !== 'wantTrailers') return emit.call(this, event, first, flags, rawHeaders);
  this.sendTrailers(this[trailersOf]);
  return true;
}

/** Resumed by the first that drains; the others then hold a little more. */
function emitOther(this: Up, event: string, first: object, flags: number, rawHeaders: string[]): boolean {
  if (event === 'drain') this[peerOf].resume();
  return emit.call(this, event, first, flags, rawHeaders);
}

function ignore(): void {}

const server = secure
  ? http2.createSecureServer({ ...options, key, cert, ALPNProtocols: ['h2'] })
  : http2.createServer(options);
server.on('session', (session) => session.setLocalWindowSize(CONNECTION_WINDOW));
server.on('stream', onStream as unknown as (stream: ServerHttp2Stream) => void);
server.listen(setup.listenPort, '127.0.0.1');
