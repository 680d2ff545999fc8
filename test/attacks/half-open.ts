import net, { type Socket } from 'node:net';
import { requestTo } from '../support/fields.js';
import { CLIENT_PREFACE, FrameType, frame, settings } from '../support/frame.js';
import { fieldBlock } from '../support/hpack.js';
import { type Attack, type AttackContext, type AttackReport, departure } from './attack.js';

/** Connections that never come to a call. */

const CONNECTIONS = 1000;
/** By then a server has given up on them: its time is 10 s by default. */
const PATIENCE_MILLISECONDS = 12_000;
const MIN_SECONDS = 15;

/** Opens connections that send these octets, and nothing more, until it leaves. */
async function stop(context: AttackContext, octets: Buffer): Promise<AttackReport> {
  const sockets: Socket[] = [];
  const closed: Promise<void>[] = [];
  let refused = 0;
  const startedAt = performance.now();
  while (sockets.length < CONNECTIONS && !context.signal.aborted) {
    const socket = net.connect(context.port, '127.0.0.1');
    socket.on('error', () => {
      refused++;
    });
    socket.resume();
    closed.push(new Promise((resolve) => socket.on('close', () => resolve())));
    if (octets.length > 0) socket.write(octets);
    sockets.push(socket);
    if (sockets.length % 50 === 0) await new Promise(setImmediate);
  }
  await departure(context.signal);
  const stayed = sockets.filter((socket) => !socket.destroyed).length;
  for (const socket of sockets) socket.destroy();
  await Promise.all(closed);
  const objections: string[] = [];
  if (stayed > 0 && performance.now() - startedAt > PATIENCE_MILLISECONDS) {
    objections.push(`${stayed} connections are open still`);
  }
  return { did: `${sockets.length} connections, ${stayed} stayed, ${refused} failed`, objections };
}

const BLOCK = fieldBlock(requestTo('/common/Echo'));
/** HEADERS that announce a block of which half is missing, and HEADERS after which CONTINUATION must follow. */
const HALF_FRAME = frame(FrameType.HEADERS, 4, 1, BLOCK).subarray(0, 9 + BLOCK.length / 2);
const HALF_BLOCK = frame(FrameType.HEADERS, 0, 1, BLOCK.subarray(0, BLOCK.length / 2));

export const halfOpenAttacks: readonly Attack[] = [
  {
    name: 'no-preface',
    description: '1 000 connections that send nothing',
    minSeconds: MIN_SECONDS,
    run: (context) => stop(context, Buffer.alloc(0)),
  },
  {
    name: 'half-headers',
    description: '1 000 connections that stop inside a HEADERS frame',
    minSeconds: MIN_SECONDS,
    run: (context) => stop(context, Buffer.concat([CLIENT_PREFACE, settings(), HALF_FRAME])),
  },
  {
    name: 'half-header-block',
    description: '1 000 connections that stop before the CONTINUATION of a header block',
    minSeconds: MIN_SECONDS,
    run: (context) => stop(context, Buffer.concat([CLIENT_PREFACE, settings(), HALF_BLOCK])),
  },
];
