import { readFileSync } from 'node:fs';
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type Http2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { readSetup } from './node-peer.js';

// The least code that relays a call on node:http2: what any proxy on it must cost. It has no director, no peek, no
// statuses, no limits, no deadlines, no resets, no reconnecting; do not use it for anything but to compare with.
// Whatever makes it faster without leaving node:http2 belongs in here (bench/README.md says what did not).

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
  up.on('response', onResponse);
  up.on('data', onUpData);
  up.on('trailers', onTrailers);
  up.on('end', onUpEnd);
  up.on('drain', onDrain);
  down.on('drain', onDrain);
  down.on('wantTrailers', onWantTrailers);
  if (secondaries.length === 0) {
    down.on('data', onDownData);
    down.on('end', onDownEnd);
    return;
  }
  down[othersOf] = secondaries.map((session) => {
    const other = session.request(request, OPEN) as Up;
    other[peerOf] = down;
    other.on('drain', onDrain);
    other.resume();
    return other;
  });
  down.on('data', onDownDataForAll);
  down.on('end', onDownEndForAll);
}

const OPEN = { endStream: false };

function onResponse(this: Up, headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]): void {
  this[peerOf].respond((takesLists ? rawHeaders : headers) as OutgoingHttpHeaders, respondOptions);
}

function onUpData(this: Up, chunk: Buffer): void {
  if (!this[peerOf].write(chunk)) this.pause();
}

function onTrailers(this: Up, trailers: IncomingHttpHeaders): void {
  this[peerOf][trailersOf] = trailers;
}

function onUpEnd(this: Up): void {
  this[peerOf].end();
}

function onWantTrailers(this: Down): void {
  this.sendTrailers(this[trailersOf]);
}

function onDownData(this: Down, chunk: Buffer): void {
  if (!this[peerOf].write(chunk)) this.pause();
}

function onDownEnd(this: Down): void {
  this[peerOf].end();
}

function onDownDataForAll(this: Down, chunk: Buffer): void {
  if (!this[peerOf].write(chunk)) this.pause();
  for (const other of this[othersOf]) if (!other.write(chunk)) this.pause();
}

function onDownEndForAll(this: Down): void {
  this[peerOf].end();
  for (const other of this[othersOf]) other.end();
}

/** Resumed by the first that drains; the others then hold a little more. */
function onDrain(this: Http2Stream & { [peerOf]: Http2Stream }): void {
  this[peerOf].resume();
}

const server = secure
  ? http2.createSecureServer({ ...options, key, cert, ALPNProtocols: ['h2'] })
  : http2.createServer(options);
server.on('session', (session) => session.setLocalWindowSize(CONNECTION_WINDOW));
server.on('stream', onStream as unknown as (stream: ServerHttp2Stream) => void);
server.listen(setup.listenPort, '127.0.0.1');
