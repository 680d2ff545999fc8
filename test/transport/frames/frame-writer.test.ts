import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { NOBODYS } from '../../../lib/port/account.js';
import { FrameType } from '../../../lib/transport/frames/frame.js';
import { FrameWriter } from '../../../lib/transport/frames/output/frame-writer.js';
import { arrayBufferBytes } from '../../support/array-buffers.js';
import type { Frame } from '../../support/frame.js';
import { FrameReader } from '../../support/frame-reader.js';

const MIB = 1024 * 1024;

/** A writer to a peer that does not read yet, and what was written by it. */
class Output {
  readonly written: string[] = [];
  readonly writer: FrameWriter;

  private constructor(
    readonly socket: Socket,
    readonly peer: Socket,
  ) {
    this.writer = new FrameWriter(socket, NOBODYS);
    this.writer.drawFrom({ fill() {}, hasMore: () => false, onFlushed() {} });
  }

  static async start(t: Test): Promise<Output> {
    const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
    t.teardown(() => server.close());
    await once(server, 'listening');
    const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    const [[peer]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [
      [Socket],
      unknown,
    ];
    t.teardown(() => peer.destroy());
    return new Output(socket, peer);
  }

  /** Writes until this holds, and goes on to when the system has taken what it takes from a peer that does not read. */
  async fill(isFull: () => boolean): Promise<void> {
    do {
      while (!isFull()) {
        this.data(16384);
        this.writer.flush();
      }
      for (let turns = 0; turns < 3; turns++) await turn();
    } while (!isFull());
  }

  data(length: number): void {
    const { writer } = this;
    writer.beginData(1, length, false);
    writer.buffer.fill(this.written.length % 251, writer.length, writer.length + length);
    writer.length += length;
    this.#log(FrameType.DATA, length, this.written.length % 251);
  }

  ping(): void {
    const payload = Buffer.alloc(8, this.written.length % 251);
    this.writer.writePing(0, payload, 0);
    this.#log(FrameType.PING, 8, payload[0]!);
  }

  /** What the peer reads, until all is there. */
  async read(count = this.written.length): Promise<string[]> {
    const reader = new FrameReader(0);
    const seen: string[] = [];
    this.peer.resume();
    while (seen.length < count) {
      const [chunk] = (await once(this.peer, 'data')) as [Buffer];
      for (const { type, payload } of reader.push(chunk)) seen.push(text(type, payload));
    }
    return seen;
  }

  #log(type: number, length: number, octet: number): void {
    this.written.push(`${type} ${length} ${octet}`);
  }
}

function text(type: Frame['type'], payload: Buffer): string {
  const isWhole = payload.every((octet) => octet === payload[0]);
  return `${type} ${payload.length} ${isWhole ? payload[0] : 'torn'}`;
}

/** How much more memory buffers take afterwards. Nothing is read from the sockets meanwhile, nor written to them. */
async function grown(run: () => void): Promise<number> {
  const before = await arrayBufferBytes();
  run();
  return process.memoryUsage().arrayBuffers - before;
}

t.test('small frames to a peer that does not read take about as much memory as they are long', async (t) => {
  const output = await Output.start(t);
  await output.fill(() => output.writer.blocked);
  const memory = await grown(() => {
    for (let turn = 0; turn < 2000; turn++) {
      output.ping();
      output.writer.flush();
    }
  });
  t.ok(memory < MIB / 4, `${memory} octets for ${2000 * 17}`);
  t.ok(output.writer.backlog >= 2000 * 17);
  t.strictSame(await output.read(), output.written);
});

t.test('as they do before so much waits that the writer gives the socket no more', async (t) => {
  const output = await Output.start(t);
  await output.fill(() => output.socket.writableLength > 0);
  t.equal(output.writer.blocked, false);
  const memory = await grown(() => {
    for (let turn = 0; turn < 2000; turn++) {
      output.ping();
      output.writer.flush();
    }
  });
  t.equal(output.writer.blocked, false);
  t.ok(memory < MIB / 4, `${memory} octets for ${2000 * 17}`);
  t.strictSame(await output.read(), output.written);
});

t.test('frames of all lengths keep their order and their octets while output waits', async (t) => {
  const output = await Output.start(t);
  await output.fill(() => output.writer.blocked);
  const lengths = [1, 17, 1000, 1024, 16000, 32749, 32750, 60_000, 65_527];
  let sum = 0;
  const memory = await grown(() => {
    for (let turn = 0; turn < 200; turn++) {
      for (let frames = turn % 3; frames >= 0; frames--) {
        const length = lengths[(turn * 7 + frames) % lengths.length]!;
        output.data(length);
        output.ping();
        sum += length + 9 + 17;
      }
      output.writer.flush();
    }
  });
  t.ok(memory < 2 * sum + MIB, `${memory} octets for ${sum}`);
  t.strictSame(await output.read(), output.written);
  // And again, on a socket that has caught up.
  output.ping();
  output.writer.flush();
  t.strictSame(await output.read(1), output.written.slice(-1));
});
