import type { Socket } from 'node:net';
import { encodeMessage } from '../../../lib/index.js';
import { RESPONSE, TRAILERS } from '../../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  Flag,
  type Frame,
  FrameType,
  frame,
  goAway,
  headers,
  resetStream,
  Setting,
  settings,
  windowUpdate,
} from '../../support/frame.js';
import { SocketServer } from '../../support/socket-server.js';
import { CLEARTEXT } from '../../support/wire.js';
import { answerQuestions } from './forked.js';
import { headerBlock } from './header-block.js';
import { RawConnection } from './raw-connection.js';

/** Backends that break rules, by their names: all of them in one process. */

/** What a backend says it takes of header lists, and means it (`picky`). */
const PICKY_HEADER_LIST_BYTES = 8192;
const TICK_MILLISECONDS = 20;
const TICK = encodeMessage(Buffer.alloc(0));
const LARGE_TRAILER_OCTETS = 60_000;
const DOWNLOAD = encodeMessage(Buffer.alloc(1_000_000));
const FRAME_OCTETS = 16_384;
const CALLS_BEFORE_GOAWAY = 25;

type OnSocket = (socket: Socket) => void;

/** A call as a backend sees it. */
interface Call {
  readonly id: number;
  readonly path: string;
  readonly chunks: Buffer[];
  /** The client has not reset it. */
  isOpen: boolean;
}

/** What a backend makes of a call's frames of HEADERS and DATA. */
type Answer = (connection: RawConnection, frame: Frame, call: Call) => void;

/**
 * Greets, and then answers each call's HEADERS and DATA.
 *
 * @param takes says whether a frame is bearable; if not, the connection ends
 */
function speaking(
  greeting: readonly Buffer[],
  answer: Answer,
  takes: (frame: Frame) => boolean = () => true,
): OnSocket {
  return (socket) => {
    const connection = new RawConnection(socket, 'server');
    connection.send(...greeting, windowUpdate(0, 2 ** 30));
    const calls = new Map<number, Call>();
    connection.onFrame = (received) => {
      const { type, streamId: id, payload, flags } = received;
      if (!takes(received)) {
        connection.send(goAway(id, ErrorCode.ENHANCE_YOUR_CALM));
        // What comes now can't be understood: HPACK has a state.
        connection.onFrame = undefined;
        socket.end();
        return;
      }
      if (type === FrameType.HEADERS && !calls.has(id)) {
        const fields = connection.fieldsOf(received);
        calls.set(id, { id, path: fields[fields.indexOf(':path') + 1]!, chunks: [], isOpen: true });
      }
      const call = calls.get(id);
      if (call === undefined) return;
      if (type === FrameType.RST_STREAM) {
        call.isOpen = false;
        calls.delete(id);
      } else if (type <= FrameType.HEADERS) {
        if (type === FrameType.DATA) call.chunks.push(payload);
        answer(connection, received, call);
        if (!call.path.endsWith('/Ticks') && (flags & Flag.END_STREAM) !== 0) calls.delete(id);
      }
    };
  };
}

async function echo(connection: RawConnection, { id, chunks }: Call): Promise<void> {
  const message = Buffer.concat(chunks);
  await connection.credit(message.length);
  connection.send(headers(id, RESPONSE), data(id, message), headers(id, TRAILERS, END));
}

/** Answers `Echo` with what it carries, and `Ticks` with a message every 20 ms. */
const answerHonestly: Answer = (connection, { flags }, call) => {
  if ((flags & Flag.END_STREAM) === 0) return;
  const { id, path } = call;
  if (path.endsWith('/Ticks')) {
    connection.send(headers(id, RESPONSE));
    const timer = setInterval(() => {
      if (!call.isOpen || connection.isClosed) clearInterval(timer);
      else if (connection.take(TICK.length)) connection.send(data(id, TICK));
    }, TICK_MILLISECONDS);
  } else if (path.endsWith('/Echo')) {
    void echo(connection, call);
  }
};

/** Says SETTINGS, and nothing more; reads nothing more either, so that output to it gets stuck. */
const frozen: OnSocket = (socket) => {
  const connection = new RawConnection(socket, 'server');
  connection.send(settings());
  connection.onFrame = ({ type, flags }) => {
    if (type === FrameType.SETTINGS && (flags & Flag.ACK) !== 0) socket.pause();
  };
};

/** Takes connections, and says nothing on them. */
const mute: OnSocket = (socket) => {
  socket.on('error', () => {});
  socket.resume();
};

/** Refuses every call. */
const refusing = speaking([settings()], (connection, { type, streamId }) => {
  if (type === FrameType.HEADERS) connection.send(resetStream(streamId, ErrorCode.REFUSED_STREAM));
});

/** Says SETTINGS, and closes. */
const closing: OnSocket = (socket) => {
  socket.on('error', () => {});
  socket.resume();
  socket.end(settings());
};

/** Allows no streams, and goes: by GOAWAY, or by FIN. */
function withoutStreams(farewell: Buffer): OnSocket {
  return (socket) => {
    socket.on('error', () => {});
    socket.resume();
    socket.end(Buffer.concat([settings([Setting.MAX_CONCURRENT_STREAMS, 0]), farewell]));
  };
}

/** Says now and then that it goes away, and stays, whatever the other side does. */
const staying: OnSocket = (socket) => {
  let calls = 0;
  speaking([settings()], (connection, received, call) => {
    if (received.type === FrameType.HEADERS && ++calls === CALLS_BEFORE_GOAWAY) {
      connection.send(goAway(received.streamId, ErrorCode.NO_ERROR));
    }
    answerHonestly(connection, received, call);
  })(socket);
};

/** Honest, but where the method says `Oversize`: a frame larger than anybody allows. */
const oversize = speaking([settings()], (connection, received, call) => {
  const { type, streamId } = received;
  if (!call.path.endsWith('/Oversize')) answerHonestly(connection, received, call);
  else if (type === FrameType.HEADERS) {
    connection.send(headers(streamId, RESPONSE), frame(FrameType.DATA, 0, streamId, Buffer.alloc(1_000_000)));
  }
});

/** A list that goes on in CONTINUATION, or whose block is that long by itself, is over the limit of {@link picky}. */
function fits({ type, flags, payload }: Frame): boolean {
  if (type === FrameType.CONTINUATION) return false;
  if (type !== FrameType.HEADERS) return true;
  return (flags & Flag.END_HEADERS) !== 0 && payload.length <= PICKY_HEADER_LIST_BYTES;
}

/** Honest, but ends the connection at a header list that is larger than it said. */
const picky = speaking(
  [settings([Setting.MAX_HEADER_LIST_SIZE, PICKY_HEADER_LIST_BYTES])],
  answerHonestly,
  fits,
);

const largeTrailers = headerBlock([...TRAILERS, 'x-large', 't'.repeat(LARGE_TRAILER_OCTETS)], true);

/**
 * Honest, and gives all that it is let at once: `Download` what the window of a stream takes, and then nothing more,
 * `Trailers` trailers of 60 KB. Common servers hold themselves back when nobody reads.
 */
const generous = speaking([settings()], (connection, received, call) => {
  if (call.path.endsWith('/Download')) {
    if (received.type === FrameType.HEADERS) void sendWindowful(connection, call);
  } else if (call.path.endsWith('/Trailers')) {
    if (received.type === FrameType.HEADERS)
      connection.send(headers(call.id, RESPONSE), largeTrailers(call.id));
  } else {
    answerHonestly(connection, received, call);
  }
});

async function sendWindowful(connection: RawConnection, call: Call): Promise<void> {
  connection.send(headers(call.id, RESPONSE));
  const octets = await connection.credit(DOWNLOAD.length);
  for (let at = 0; at < octets && call.isOpen; at += FRAME_OCTETS) {
    connection.send(data(call.id, DOWNLOAD.subarray(at, Math.min(at + FRAME_OCTETS, octets))));
  }
}

const BACKENDS: Readonly<Record<string, OnSocket>> = {
  frozen,
  mute,
  refusing,
  closing,
  'no-streams-goaway': withoutStreams(goAway(0, ErrorCode.NO_ERROR)),
  'no-streams-fin': withoutStreams(Buffer.alloc(0)),
  staying,
  oversize,
  picky,
  generous,
};

export interface HostileCounts {
  readonly opened: number;
  readonly open: number;
}

const opened: Record<string, number> = {};
const servers = new Map<string, SocketServer>();
for (const [name, onSocket] of Object.entries(BACKENDS)) {
  opened[name] = 0;
  const server = await SocketServer.start(
    (socket) => {
      opened[name]!++;
      onSocket(socket);
    },
    CLEARTEXT,
    { allowHalfOpen: name === 'staying' },
  );
  servers.set(name, server);
}

answerQuestions((question) => {
  const entries = [...servers];
  if (question === 'ready') return Object.fromEntries(entries.map(([name, { port }]) => [name, port]));
  return Object.fromEntries(
    entries.map(([name, { sockets }]) => [name, { opened: opened[name]!, open: sockets.size }]),
  );
});
