import { behaviour } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import { END, ErrorCode, goAway, headers, settings } from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { MESSAGE, METHOD, status } from '../support/unary.js';

const CALLS = 12;

behaviour(
  'an address that closes a connection in order is not left out for the calls it did not take',
  async (t, world) => {
    let isFirst = true;
    const serve = async (connection: FramePeer): Promise<void> => {
      const leaves = isFirst;
      isFirst = false;
      connection.send(settings());
      if (leaves) {
        await connection.until(() => connection.hasEnded(2 * (CALLS / 2) - 1));
        connection.send(goAway(0, ErrorCode.NO_ERROR));
        return;
      }
      for (let id = 1; ; id += 2) {
        await connection.until(() => connection.hasEnded(id));
        connection.send(headers(id, RESPONSE));
        connection.send(headers(id, TRAILERS, END));
      }
    };
    const backends = [await world.frameBackend(serve), await world.frameBackend(serve)];
    const conn = world.dial(backends.map(({ port }) => `127.0.0.1:${port}`) as unknown as string);
    conn.connect();
    await eventually('both', () => conn.addresses.every(({ state }) => state.name === 'READY'));
    const proxy = await world.proxy(() => ({ primary: { conn } }));
    const client = world.http2Client(proxy.port);
    const answers = await Promise.all(Array.from({ length: CALLS }, () => client.call(METHOD, MESSAGE)));
    t.same(new Set(answers.map(status)), new Set(['0']));
    t.same(
      conn.addresses.map(({ isEjected }) => isEjected),
      [false, false],
    );
  },
);
