import t from 'tap';
import { ErrorCode } from '../../../lib/port/error-code.js';
import { deferred } from '../../support/deferred.js';
import { TRAILERS } from '../../support/fields.js';
import {
  data,
  END,
  Flag,
  FrameType,
  frame,
  headers,
  ping,
  Setting,
  windowUpdate,
} from '../../support/frame.js';
import type { FramePeer } from '../../support/frame-peer.js';
import { connected, frameBackend, request, WIRES } from './fixtures.js';

// They mostly wait.
t.jobs = 16;

/** What node:http2 ends a session for; on Node 20 without a word. */
const VIOLATIONS: Record<string, (backend: FramePeer) => void> = {
  'DATA before HEADERS': (backend) => backend.send(data(1, Buffer.from('x'))),
  'a frame that is too large': (backend) => backend.send(data(1, Buffer.alloc(20_000))),
  'a broken field block': (backend) =>
    backend.send(frame(FrameType.HEADERS, Flag.END_HEADERS, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]))),
  'a PING of 7 octets': (backend) => backend.send(ping(Buffer.alloc(7))),
};

for (const [name, violate] of Object.entries(VIOLATIONS)) {
  for (const [wireName, wire] of Object.entries(WIRES)) {
    t.test(`calls end within a second of ${name}, ${wireName}`, { buffered: true }, async (t) => {
      const port = await frameBackend(
        t,
        async (backend) => {
          await backend.first(1, FrameType.HEADERS);
          violate(backend);
        },
        [],
        wire,
      );
      const { owner, connection } = await connected(port, wire.dialOptions);
      const begun = performance.now();
      const { received } = request(connection);
      const reset = await received.reset();
      t.ok(performance.now() - begun < 1000, `${Math.round(performance.now() - begun)} ms`);
      t.equal(reset.code, ErrorCode.CANCEL);
      t.equal(reset.by, 'local');
      t.equal(reset.lost?.cause, 'protocol');
      t.equal(await owner.end(), reset.lost);
      t.match(owner.ends[0]!.text, /^PROTOCOL_ERROR: node:http2/);
    });
  }
}

for (const [wireName, wire] of Object.entries(WIRES)) {
  t.test(`also after a silence in which the backend was well, ${wireName}`, { buffered: true }, async (t) => {
    let violated = 0;
    const port = await frameBackend(
      t,
      async (backend) => {
        await backend.first(1, FrameType.HEADERS);
        // Past the first looks; on Node 20 there is a probe then, which is not acknowledged before.
        backend.send(windowUpdate(0, 1));
        backend.acknowledges = false;
        await new Promise((resolve) => setTimeout(resolve, 1000));
        violated = performance.now();
        backend.send(ping(Buffer.alloc(7)));
      },
      [],
      wire,
    );
    const { owner, connection } = await connected(port, wire.dialOptions);
    const { received } = request(connection);
    const reset = await received.reset();
    t.ok(performance.now() - violated < 1000, `${Math.round(performance.now() - violated)} ms`);
    t.equal(reset.lost?.cause, 'protocol');
    await owner.end();
  });
}

for (const [wireName, wire] of Object.entries(WIRES)) {
  t.test(`a silent stream is left alone, ${wireName}`, { buffered: true }, async (t) => {
    const { promise, resolve } = deferred();
    const port = await frameBackend(
      t,
      async (backend) => {
        await backend.first(1, FrameType.HEADERS);
        // What comes now is nothing that a stream tells of.
        for (let i = 0; i < 3; i++) {
          backend.send(windowUpdate(0, 1));
          await new Promise((r) => setTimeout(r, 1200));
        }
        t.ok(backend.of(0, FrameType.SETTINGS).filter(({ flags }) => flags === 0).length <= 4, 'few probes');
        resolve();
      },
      [],
      wire,
    );
    const { owner, connection } = await connected(port, wire.dialOptions);
    const { received } = request(connection);
    await promise;
    t.equal(received.resets.length, 0);
    t.equal(owner.ends.length, 0);
    connection.destroy();
    await owner.end();
  });
}

for (const [wireName, wire] of Object.entries(WIRES)) {
  t.test(`a backend that reads nothing is no zombie, ${wireName}`, { buffered: true }, async (t) => {
    const port = await frameBackend(
      t,
      async (backend) => {
        await backend.first(1, FrameType.HEADERS);
        backend.send(windowUpdate(0, 2 ** 29));
        backend.send(windowUpdate(1, 2 ** 29));
        backend.socket.pause();
        for (let i = 0; i < 3; i++) {
          await new Promise((r) => setTimeout(r, 900));
          backend.send(windowUpdate(0, 1));
        }
        backend.socket.resume();
        await backend.until(() => backend.hasEnded(1));
        backend.send(headers(1, [':status', '200', ...TRAILERS], END));
      },
      [[Setting.INITIAL_WINDOW_SIZE, 2 ** 30]],
      wire,
    );
    const { owner, connection } = await connected(port, wire.dialOptions);
    const { stream, received } = request(connection);
    for (let i = 0; i < 30; i++) stream.sendData(Buffer.alloc(1024 * 1024), i === 29);
    await received.end();
    t.equal(owner.ends.length, 0);
    connection.destroy();
    await owner.end();
  });
}
