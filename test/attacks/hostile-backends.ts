import { requestTo } from '../support/fields.js';
import { data, END, Flag, type Frame, FrameType } from '../support/frame.js';
import { type Attack, Attacker, messageOf, pause, repeat, requestHeaders } from './attack.js';
import { headerBlock } from './lab/header-block.js';

/** Backends that misbehave, with a client that calls them, and what a client can make of backends that others share. */

const CALLS_PER_SECOND = 50;

/** Calls that nobody answers as they should. */
function calling(name: string, description: string): Attack {
  return {
    name: `backend-${name}`,
    description,
    loopingService: name,
    async run(context) {
      const attacker = new Attacker(context);
      const open = requestHeaders(`/${name}/Echo`, Flag.END_HEADERS, 'grpc-timeout', '5S');
      const message = messageOf(100);
      const calls = await repeat(CALLS_PER_SECOND, context.signal, async () => {
        const connection = await attacker.connection();
        const id = connection.nextStream();
        connection.send(open(id), data(id, message, Flag.END_STREAM));
      });
      await attacker.leave();
      return attacker.report(`${calls} calls`);
    },
  };
}

function largeMetadata(kilobytes: number): Attack {
  return {
    name: `metadata-${kilobytes}k`,
    description: `metadata of ${kilobytes} KiB, 10 times a second, to a backend that takes 8 and ends the connection`,
    victimService: 'picky',
    async run(context) {
      const attacker = new Attacker(context);
      const large = 'l'.repeat(kilobytes * 1024);
      const request = headerBlock([...requestTo('/picky/Echo'), 'x-large', large], true);
      const calls = await repeat(10, context.signal, async () => {
        const connection = await attacker.connection();
        connection.send(request(connection.nextStream()));
      });
      await attacker.leave();
      return attacker.report(`${calls} calls`);
    },
  };
}

export const hostileBackendAttacks: readonly Attack[] = [
  calling('refusing', 'a backend that refuses every stream'),
  calling('closing', 'a backend that closes right after its SETTINGS'),
  calling('no-streams-goaway', 'a backend that allows no streams and sends GOAWAY, then FIN'),
  calling('no-streams-fin', 'a backend that allows no streams and closes'),
  calling('mute', 'a backend that takes connections and says nothing'),
  calling('staying', 'a backend that says GOAWAY at every 25th call and never closes'),
  largeMetadata(12),
  largeMetadata(40),
  largeMetadata(100),
  {
    name: 'oversize-answers',
    description: "a backend that answers one client's calls with an oversize frame, every other second",
    victimService: 'oversize',
    costsConnection: true,
    async run(context) {
      const attacker = new Attacker(context);
      const open = requestHeaders('/oversize/Oversize', END);
      let answers = 0;
      const calls = await repeat(0.5, context.signal, async () => {
        const connection = await attacker.connection();
        connection.onFrame = ({ type }: Frame) => {
          if (type === FrameType.HEADERS) answers++;
        };
        connection.send(open(connection.nextStream()));
      });
      await pause(100, context.signal);
      await attacker.leave();
      return attacker.report(`${calls} calls, ${answers} answers`);
    },
  },
];
