import { data, END, ErrorCode, Flag, resetStream, windowUpdate } from '../support/frame.js';
import {
  type Attack,
  type AttackContext,
  Attacker,
  type AttackReport,
  departure,
  messageOf,
  repeat,
  requestHeaders,
} from './attack.js';

/** Calls that a client begins and abandons, or makes the proxy reset ("made you reset"). */

const SMALL = messageOf(100);
const MAX_WINDOW = 2 ** 31 - 1;
const RESETS_PER_SECOND = 400;
const RUNNING_CALLS = 12_000;

/** Sends these frames on a new stream, so often a second. */
async function spoil(
  context: AttackContext,
  perSecond: number,
  frames: (streamId: number, index: number) => readonly Buffer[],
): Promise<AttackReport> {
  const attacker = new Attacker(context);
  let index = 0;
  const calls = await repeat(perSecond, context.signal, async () => {
    const connection = await attacker.connection();
    connection.send(...frames(connection.nextStream(), index++));
  });
  await attacker.leave();
  return attacker.report(`${calls} calls`);
}

const openHanging = requestHeaders('/common/Hang', Flag.END_HEADERS);
const CODES = Object.values(ErrorCode);

function resetting(name: string, description: string, codeOf: (index: number) => number): Attack {
  return {
    name,
    description,
    run: (context) =>
      spoil(context, RESETS_PER_SECOND, (id, index) => [
        openHanging(id),
        data(id, SMALL),
        resetStream(id, codeOf(index)),
      ]),
  };
}

export const resetAttacks: readonly Attack[] = [
  resetting('resets', 'HEADERS, DATA, RST_STREAM(CANCEL), 400 times a second', () => ErrorCode.CANCEL),
  resetting(
    'resets-no-error',
    'HEADERS, DATA, RST_STREAM(NO_ERROR), 400 times a second',
    () => ErrorCode.NO_ERROR,
  ),
  resetting(
    'resets-every-code',
    'HEADERS, DATA, RST_STREAM with each code in turn, 400 times a second',
    (index) => CODES[index % CODES.length]!,
  ),
  {
    name: 'made-you-reset-zero',
    description: 'calls that the proxy must reset for a WINDOW_UPDATE of 0, 400 a second',
    run: (context) => spoil(context, RESETS_PER_SECOND, (id) => [openHanging(id), windowUpdate(id, 0)]),
  },
  {
    name: 'made-you-reset-overflow',
    description: 'calls that the proxy must reset since their window overflows, 400 a second',
    run: (context) =>
      spoil(context, RESETS_PER_SECOND, (id) => [openHanging(id), windowUpdate(id, MAX_WINDOW)]),
  },
  {
    name: 'made-you-reset-length',
    description: 'calls that the proxy must reset since their content-length is not true, 400 a second',
    run: (context) => {
      const open = requestHeaders('/common/Hang', Flag.END_HEADERS, 'content-length', '50');
      return spoil(context, RESETS_PER_SECOND, (id) => [open(id), data(id, SMALL)]);
    },
  },
  {
    name: 'deadlines-1ns',
    description: '1 500 calls a second with `grpc-timeout: 1n`',
    run: (context) => {
      const open = requestHeaders('/common/Hang', END, 'grpc-timeout', '1n');
      return spoil(context, 1500, (id) => [open(id)]);
    },
  },
  {
    name: 'deadlines-1ms',
    description: '1 500 calls a second with `grpc-timeout: 1m`',
    run: (context) => {
      const open = requestHeaders('/common/Hang', END, 'grpc-timeout', '1m');
      return spoil(context, 1500, (id) => [open(id)]);
    },
  },
  {
    name: 'half-messages',
    description: '1 200 calls a second that end inside a message',
    run: (context) =>
      spoil(context, 1200, (id) => [openHanging(id), data(id, '00 00000064 6d6d6d', Flag.END_STREAM)]),
  },
  {
    name: 'bad-flags',
    description: '1 200 calls a second whose message has a compressed flag of 7',
    run: (context) => spoil(context, 1200, (id) => [openHanging(id), data(id, '07 00000000')]),
  },
  {
    name: 'calls-cut',
    description: '12 000 calls running, whose connection is cut at once',
    async run(context) {
      const { signal } = context;
      const attacker = new Attacker(context);
      const connection = await attacker.connection();
      let calls = 0;
      for (; calls < RUNNING_CALLS && !signal.aborted && connection.isUsable; calls++) {
        connection.send(openHanging(connection.nextStream()));
        // In pieces, so that the other side reads on the way.
        if (calls % 500 === 0) await new Promise(setImmediate);
      }
      await departure(signal);
      await attacker.leave();
      return attacker.report(`${calls} calls`);
    },
  },
];
