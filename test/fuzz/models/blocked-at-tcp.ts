import { encodeMessage } from '../../../lib/index.js';
import { deferred } from '../../support/deferred.js';
import { RESPONSE, requestTo, TRAILERS } from '../../support/fields.js';
import type { Random } from '../../support/random.js';
import { TLS } from '../../support/wire.js';
import { Arena, ended, until } from '../arena.js';
import { callHonestlyMoreThanOnce } from '../honest.js';
import type { Model } from '../model.js';
import { anyCode, type RawConnection, WAYS_TO_LEAVE } from '../raw-connection.js';
import type { RawStream } from '../raw-stream.js';
import type { Setting } from '../setting.js';
import { violated } from '../violated.js';

/** More than TCP's buffers hold between two ends of the loopback interface. */
const LARGE = 6 * 2 ** 20;
/** Less than the windows that every peer has before it is given more. */
const SMALL = 50_000;

/**
 * Over TLS, node:http2 is not told that a peer has gone before it has taken a write (nodejs/node#55804), and reads
 * nothing meanwhile: only its keepalive tells, later than a run can wait for.
 */
function isDeaf(setting: Setting, side: 'server' | 'client'): boolean {
  return setting[side] === 'http2' && setting.wire === TLS;
}

/** Messages that are long together; the bytes don't matter, and random ones take their time to make. */
const FLOOD = encodeMessage(Buffer.alloc(LARGE, 'flood'));

/**
 * A client that reads nothing from its connection, with large windows, while it uploads on it. What it sends arrives;
 * then it resets, leaves, or reads on and has every byte.
 */
export const blockedClient: Model = {
  name: 'blocked-client',
  async run(random, setting) {
    await Arena.run(setting, { server: isDeaf(setting, 'server') }, async (arena) => {
      const echo = await arena.echo();
      const uploads = new Map<string, RawStream>();
      const backend = await arena.backend(() => ({
        onStream: (stream, connection) => {
          const name = stream.field('x-upload');
          if (name !== undefined) uploads.set(name, stream);
          else void answer(stream, connection, FLOOD);
        },
      }));
      const conn = arena.dial(backend.port);
      const port = await arena.proxy((_ctx, method) => ({
        primary: { conn: method.endsWith('Echo') ? echo : conn },
      }));
      const honest = arena.client(port);
      const client = await arena.peer(port);
      await ended(
        'SETTINGS',
        client.until(() => client.isReady),
      );
      client.stopReading();
      const download = client.request(requestTo('/fuzz.Service/Flood'), true);
      const bodies = Array.from({ length: random.int(1, 3) }, () => shortMessage(random));
      const sent = bodies.map((body, i) => {
        const stream = client.request([...requestTo('/fuzz.Service/Upload'), 'x-upload', `${i}`]);
        void client.sendData(stream, body, true);
        return stream;
      });
      await callHonestlyMoreThanOnce(random.fork(), honest);
      for (const [i, body] of bodies.entries()) {
        await until('an upload of a client that reads nothing', () => uploads.get(`${i}`)?.isDone === true);
        if (!uploads.get(`${i}`)!.data.equals(body)) violated('an upload got other bytes');
      }
      await callHonestlyMoreThanOnce(random.fork(), honest);
      switch (random.int(0, 2)) {
        case 0:
          client.goOnReading();
          await ended(
            'the rest of a download',
            client.until(() => download.isDone),
          );
          if (download.status !== '0') violated('a download failed', download.describe());
          if (!download.data.equals(FLOOD)) violated('a download got other bytes', download.received);
          return;
        case 1:
          for (const stream of [download, ...sent]) client.reset(stream, anyCode(random));
      }
      await ended('the client to leave', client.leave(random.pick(['reset', 'destroy'])));
      await callHonestlyMoreThanOnce(random.fork(), honest);
    });
  },
};

function shortMessage(random: Random): Buffer {
  return encodeMessage(random.bytes(random.int(0, SMALL / 4)));
}

async function answer(stream: RawStream, connection: RawConnection, body: Buffer): Promise<void> {
  connection.sendHeaders(stream, RESPONSE);
  if (await connection.sendData(stream, body)) connection.sendHeaders(stream, TRAILERS, true);
}

/**
 * A backend that reads nothing from its connection, with large windows, while it answers on it. Its answers arrive; then
 * it resets, leaves, or reads on and has every byte.
 */
export const blockedBackend: Model = {
  name: 'blocked-backend',
  async run(random, setting) {
    await Arena.run(setting, { client: isDeaf(setting, 'client') }, async (arena) => {
      const echo = await arena.echo();
      const answers = new Map<string, Buffer>();
      const blocked = deferred();
      let arrived = 0;
      let sink: RawStream | undefined;
      const backend = await arena.backend(() => ({
        onStream: (stream, connection) => {
          arrived++;
          const body = answers.get(stream.field('x-answer') ?? '');
          if (body === undefined) sink = stream;
          else void blocked.promise.then(() => answer(stream, connection, body));
        },
      }));
      const conn = arena.dial(backend.port, { limits: { maxConnections: 1 } });
      const port = await arena.proxy((_ctx, method) => ({
        primary: { conn: method.endsWith('Echo') ? echo : conn },
      }));
      const honest = arena.client(port);
      const client = await arena.peer(port);
      const asked = Array.from({ length: random.int(1, 3) }, (_, i) => {
        const body = shortMessage(random);
        answers.set(`${i}`, body);
        const stream = client.request([...requestTo('/fuzz.Service/Answer'), 'x-answer', `${i}`], true);
        return { body, stream };
      });
      const upload = client.request(requestTo('/fuzz.Service/Sink'));
      await until('calls to arrive', () => arrived === asked.length + 1);
      const [connection] = backend.connections;
      connection!.stopReading();
      void client.sendData(upload, FLOOD, true);
      await callHonestlyMoreThanOnce(random.fork(), honest);
      blocked.resolve();
      for (const { body, stream } of asked) {
        await ended(
          'an answer of a backend that reads nothing',
          client.until(() => stream.isDone),
        );
        if (stream.status !== '0') violated('an answer failed', stream.describe());
        if (!stream.data.equals(body)) violated('an answer got other bytes');
      }
      await callHonestlyMoreThanOnce(random.fork(), honest);
      switch (random.int(0, isDeaf(setting, 'client') ? 2 : 3)) {
        case 0:
          connection!.goOnReading();
          await ended(
            'the rest of an upload',
            connection!.until(() => sink!.isDone),
          );
          if (!sink!.data.equals(FLOOD)) violated('an upload got other bytes', sink!.received);
          return;
        case 1:
          client.reset(upload, anyCode(random));
          break;
        case 2:
          await ended('the client to leave', client.leave(random.pick(WAYS_TO_LEAVE)));
          break;
        case 3:
          await ended('the backend to leave', connection!.leave(random.pick(['reset', 'destroy'])));
          await ended(
            'the end of an upload',
            client.until(() => upload.isDone),
          );
          if (upload.status !== '14') violated('a call whose connection was lost', upload.describe());
      }
      await callHonestlyMoreThanOnce(random.fork(), honest);
      // Else the connection waits for what the backend has still to read.
      await connection!.leave('destroy');
    });
  },
};
