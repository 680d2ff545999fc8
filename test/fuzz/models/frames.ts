import fc, { type Arbitrary } from 'fast-check';
import { FramesServerTransport } from '../../../lib/transport/frames/server-transport.js';
import { DEFAULT_SERVER_LIMITS } from '../../../lib/transport/limits.js';
import { REQUEST } from '../../support/fields.js';
import { CLIENT_PREFACE, END, FrameType, headers } from '../../support/frame.js';
import { FrameBackend } from '../../support/frame-backend.js';
import { FramePeer } from '../../support/frame-peer.js';
import { judgeOutput } from '../../support/judge-output.js';
import type { Random } from '../../support/random.js';
import { Call, startClient } from '../../transport/frames/fixtures.js';
import { ended } from '../arena.js';
import type { Model } from '../model.js';
import { Resources } from '../resources.js';
import type { Setting } from '../setting.js';
import { violated } from '../violated.js';
import { captureWith, frameSequences, mutatedCaptures, responseSequences } from './frame-sequences.js';
import { JudgingAcceptor } from './judging-acceptor.js';

/** How many connections a run tries: they take less time than what is made for them. */
const CONNECTIONS = 8;

function draw<T>(random: Random, inputs: Arbitrary<T>): T[] {
  return fc.sample(inputs, { seed: random.int(0, 2 ** 31 - 1), numRuns: CONNECTIONS });
}

/** Whatever frames come in, the engine calls its receivers in order, and what it sends keeps the rules. */
export const serverFrames: Model = {
  name: 'server-frames',
  appliesTo: isEngine,
  async run(random) {
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const inputs = draw(random, frameSequences);
    await attack(inputs.map(({ frames, cuts }) => ({ bytes: Buffer.concat([settings, ...frames]), cuts })));
  },
};

/** Changed octets of an honest connection do no harm. */
export const changedOctets: Model = {
  name: 'changed-octets',
  appliesTo: isEngine,
  async run(random) {
    const inputs = draw(random, mutatedCaptures);
    await attack(
      inputs.map(({ requests, changes, cuts }) => ({ bytes: captureWith(requests, changes), cuts })),
    );
  },
};

/** Whatever a server sends, the engine's calls get one answer, in order. */
export const clientFrames: Model = {
  name: 'client-frames',
  appliesTo: isEngine,
  async run(random) {
    const resources = new Resources();
    const server = await FrameBackend.start();
    try {
      for (const { frames, cuts } of draw(random, responseSequences)) {
        await ended('calls to end', answer(server, Buffer.concat(frames), cuts));
      }
    } finally {
      await server.close();
    }
    await ended('all that was held to be free', resources.gone(), () => resources.describe());
  },
};

/** The engine by itself, without a proxy: one setting is enough. */
function isEngine({ name }: Setting): boolean {
  return name === 'frames/frames';
}

interface Input {
  readonly bytes: Buffer;
  readonly cuts: readonly number[];
}

/** Sends bytes in pieces, leaves, and looks at what must hold; one connection after the other. */
async function attack(inputs: readonly Input[]): Promise<void> {
  const resources = new Resources();
  const acceptor = new JudgingAcceptor();
  const transport = new FramesServerTransport(acceptor, { tls: undefined, limits: DEFAULT_SERVER_LIMITS });
  try {
    const address = await transport.listen({ host: '127.0.0.1', port: 0 });
    if (!('port' in address)) throw new Error('not listening on TCP');
    for (const { bytes, cuts } of inputs) {
      const peer = await FramePeer.connect(address);
      peer.send(CLIENT_PREFACE);
      await sendInPieces(peer, bytes, cuts);
      peer.socket.end();
      await ended('the engine to close a connection', peer.closed);
      judgeOutput(peer);
    }
    const honest = await FramePeer.client(address);
    honest.send(headers(1, REQUEST, END));
    await ended('an answer', honest.first(1, FrameType.HEADERS));
    await ended(
      'the end of an answer',
      honest.until(() => honest.hasEnded(1)),
    );
    honest.destroy();
    await ended('the engine to close', transport.close());
  } finally {
    transport.destroy();
  }
  if (acceptor.violations.length > 0) violated(acceptor.violations.join());
  await ended('all that was held to be free', resources.gone(), () => resources.describe());
}

/** Sends bytes as the answer to three calls. */
async function answer(server: FrameBackend, bytes: Buffer, cuts: readonly number[]): Promise<void> {
  const client = startClient({ teardown() {} }, server.target);
  const calls = [new Call(client), new Call(client), new Call(client)];
  const peer = await (await server.accept()).exchangePrefaces();
  await peer.nextHeaders(1);
  await sendInPieces(peer, bytes, cuts);
  peer.socket.end();
  await peer.closed;
  for (const call of calls) {
    await call.done();
    const events = call.events.join();
    if (!/^(headers\+end|headers(,data)?(,headers\+end|,end)?)?(,?reset)?$/.test(events)) violated(events);
  }
  client.destroy();
}

async function sendInPieces(peer: FramePeer, bytes: Buffer, cuts: readonly number[]): Promise<void> {
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    const end = Math.min(bytes.length, at + cut);
    if (end > at) await new Promise((resolve) => peer.socket.write(bytes.subarray(at, end), resolve));
    at = end;
  }
}
