import { data, ErrorCode, Flag } from '../support/frame.js';
import {
  type Attack,
  type AttackContext,
  Attacker,
  type AttackReport,
  departure,
  messageOf,
  pause,
  requestHeaders,
} from './attack.js';

/** Uploads that nobody takes, and what may become of them. */

const UPLOADS = 1100;
const UPLOAD = messageOf(240 * 1024);
const FRAME_OCTETS = 16_384;
const ERROR_CODES = Object.values(ErrorCode);
/** For the proxy to take what was sent. */
const DIGESTION_MILLISECONDS = 1500;

type Farewell = (index: number) => number | undefined;

/** Sends the uploads, waits a little, resets each with what `farewell` says, waits, and disconnects. */
async function upload(context: AttackContext, farewell: Farewell): Promise<AttackReport> {
  const { signal } = context;
  const attacker = new Attacker(context);
  const connection = await attacker.connection();
  const open = requestHeaders('/frozen/Swallow', Flag.END_HEADERS);
  const streams: number[] = [];
  while (streams.length < UPLOADS && !signal.aborted && connection.isUsable) {
    const id = connection.nextStream();
    streams.push(id);
    connection.send(open(id));
    const allowed = await connection.credit(UPLOAD.length);
    for (let at = 0; at < allowed; at += FRAME_OCTETS) {
      connection.send(data(id, UPLOAD.subarray(at, Math.min(at + FRAME_OCTETS, allowed))));
    }
  }
  await pause(DIGESTION_MILLISECONDS, signal);
  streams.forEach((id, index) => {
    const code = farewell(index);
    if (code !== undefined) connection.reset(id, code);
  });
  await departure(signal);
  await attacker.leave();
  return attacker.report(`${streams.length} uploads`);
}

export const uploadAttacks: readonly Attack[] = [
  {
    name: 'uploads-cut',
    description: '1 100 uploads of 240 KiB to a frozen backend, then disconnected',
    run: (context) => upload(context, () => undefined),
  },
  {
    name: 'uploads-reset-no-error',
    description: '1 100 uploads of 240 KiB to a frozen backend, reset with NO_ERROR, then disconnected',
    run: (context) => upload(context, () => ErrorCode.NO_ERROR),
  },
  {
    name: 'uploads-reset-cancel',
    description: '1 100 uploads of 240 KiB to a frozen backend, reset with CANCEL, then disconnected',
    run: (context) => upload(context, () => ErrorCode.CANCEL),
  },
  {
    name: 'uploads-reset-every-code',
    description:
      '1 100 uploads of 240 KiB to a frozen backend, reset with each code in turn, then disconnected',
    run: (context) => upload(context, (index) => ERROR_CODES[index % ERROR_CODES.length]!),
  },
  {
    name: 'waiting-calls',
    description: '3 000 calls of 64 KiB that wait for a backend that accepts TCP and says nothing',
    async run(context) {
      const { signal } = context;
      const attacker = new Attacker(context);
      const connection = await attacker.connection();
      const open = requestHeaders('/mute/Echo', Flag.END_HEADERS);
      const message = messageOf(64 * 1024 - 100);
      let calls = 0;
      for (; calls < 3000 && !signal.aborted && connection.isUsable; calls++) {
        const id = connection.nextStream();
        connection.send(open(id));
        const allowed = await connection.credit(message.length);
        for (let at = 0; at < allowed; at += FRAME_OCTETS) {
          const end = Math.min(at + FRAME_OCTETS, allowed);
          connection.send(data(id, message.subarray(at, end), end === allowed ? Flag.END_STREAM : 0));
        }
      }
      await departure(signal);
      await attacker.leave();
      return attacker.report(`${calls} calls`);
    },
  },
];
