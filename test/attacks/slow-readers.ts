import net from 'node:net';
import { CLIENT_PREFACE, END, Setting, settings, windowUpdate } from '../support/frame.js';
import { type Attack, Attacker, departure, pause, requestHeaders } from './attack.js';
import { RawConnection } from './lab/raw-connection.js';

/** Clients that take what they asked for slowly, or never. */

const DOWNLOADS = 1100;
const LARGE_TRAILERS = 3000;
const READ_OCTETS_PER_SECOND = 150_000;
const READ_MILLISECONDS = 50;

export const slowReaderAttacks: readonly Attack[] = [
  {
    name: 'downloads-window-zero',
    description:
      '1 100 downloads by a client that gives no window, from a backend that gives all that it may',
    victimService: 'generous',
    async run(context) {
      const { signal } = context;
      const attacker = new Attacker(context, [[Setting.INITIAL_WINDOW_SIZE, 0]]);
      const connection = await attacker.connection();
      const open = requestHeaders('/generous/Download', END);
      let calls = 0;
      for (; calls < DOWNLOADS && !signal.aborted && connection.isUsable; calls++) {
        connection.send(open(connection.nextStream()));
        if (calls % 100 === 0) await pause(5, signal);
      }
      await departure(signal);
      await attacker.leave();
      return attacker.report(`${calls} downloads`);
    },
  },
  {
    name: 'large-trailers',
    description: '3 000 trailers of 60 KB to a client that never reads',
    victimService: 'generous',
    async run(context) {
      const { signal } = context;
      const attacker = new Attacker(context);
      const connection = await attacker.connection();
      connection.socket.pause();
      const open = requestHeaders('/generous/Trailers', END);
      let calls = 0;
      for (; calls < LARGE_TRAILERS && !signal.aborted && connection.isUsable; calls++) {
        connection.send(open(connection.nextStream()));
        if (calls % 100 === 0) await pause(5, signal);
      }
      await departure(signal);
      await attacker.leave();
      return attacker.report(`${calls} calls`);
    },
  },
  {
    name: 'honest-slow-reader',
    description: 'a download of which 150 KB a second are read, at the socket: it must not be cut',
    // A watchdog that takes it for dead would need 20 s, and the buffers of the kernel to be full.
    minSeconds: 45,
    async run({ port, signal }) {
      const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
      const connection = new RawConnection(socket, 'client');
      const open = requestHeaders('/common/Download', END, 'x-bytes', '1000000000');
      connection.send(
        CLIENT_PREFACE,
        settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 30]),
        windowUpdate(0, 2 ** 30),
        open(connection.nextStream()),
      );
      // Read on only as far as the rate allows; what it has not read fills the buffers of the kernel.
      const startedAt = performance.now();
      socket.on('data', () => socket.pause());
      while (!signal.aborted && !connection.isClosed) {
        const due = ((performance.now() - startedAt) / 1000) * READ_OCTETS_PER_SECOND;
        if (connection.dataBytes < due) socket.resume();
        await pause(READ_MILLISECONDS, signal);
      }
      const objections: string[] = [];
      const seconds = (performance.now() - startedAt) / 1000;
      if (connection.isClosed || connection.goAway !== undefined || connection.resetCodes.size > 0) {
        objections.push(`the slow reader was cut after ${seconds.toFixed(1)} s, GOAWAY ${connection.goAway}`);
      }
      const did = `read ${(connection.dataBytes / 1e6).toFixed(1)} MB in ${seconds.toFixed(1)} s`;
      await connection.close();
      return { did, objections };
    },
  },
  {
    name: 'blocked-reader',
    description: '1 000 downloads of 60 KB by a client that never reads, from a common backend',
    async run(context) {
      const { signal } = context;
      const attacker = new Attacker(context);
      const connection = await attacker.connection();
      const open = requestHeaders('/common/Download', END, 'x-bytes', '60000');
      connection.socket.pause();
      let calls = 0;
      for (; calls < 1000 && !signal.aborted && connection.isUsable; calls++) {
        connection.send(open(connection.nextStream()));
        if (calls % 100 === 0) await pause(5, signal);
      }
      await departure(signal);
      await attacker.leave();
      return attacker.report(`${calls} calls`);
    },
  },
];
