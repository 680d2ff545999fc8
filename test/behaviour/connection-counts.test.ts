import { behaviour } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { ErrorCode, goAway, settings, windowUpdate } from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { freePort } from '../support/free-port.js';
import { resetConnection } from '../support/wire.js';

const NONE = { connectionFailures: 0, ejections: 0 };
const ONE = { connectionFailures: 1, ejections: 0 };

for (const [how, act, isCounted, text] of [
  ['by GOAWAY', (peer) => peer.send(goAway(0, ErrorCode.NO_ERROR)), false, undefined],
  [
    'by GOAWAY, and with its streams',
    (peer) => {
      peer.send(goAway(0, ErrorCode.NO_ERROR));
      peer.socket.end();
    },
    false,
    undefined,
  ],
  ['without a GOAWAY', (peer) => void peer.socket.end(), true, 'the peer closed it'],
  // node:http2 does not always tell that it was one.
  ['by a reset', (peer) => resetConnection(peer.socket), true, /^(it was reset by|the peer closed it)/],
  [
    'by GOAWAY with an error',
    (peer) => {
      peer.send(goAway(0, ErrorCode.INTERNAL_ERROR));
      peer.socket.end();
    },
    true,
    'GOAWAY INTERNAL_ERROR',
  ],
  ['by what breaks the protocol', (peer) => peer.send(windowUpdate(0, 0)), true, /^PROTOCOL_ERROR: /],
] as readonly [string, (peer: FramePeer) => void, boolean, string | RegExp | undefined][]) {
  behaviour(
    `a connection that a backend ends ${how} ${isCounted ? 'is' : 'is not'} counted`,
    async (t, world) => {
      const peers: FramePeer[] = [];
      const backend = await world.frameBackend((peer) => {
        peers.push(peer);
        peer.send(settings());
      });
      const conn = world.dial(backend.port);
      conn.connect();
      t.equal((await conn.waitForStateChange('CONNECTING')).name, 'READY');
      t.same(conn.counts, NONE);
      act(peers[0]!);
      await conn.waitForStateChange('READY');
      await eventually('it has gone', () => conn.addresses[0]!.connections === 0);
      t.same(conn.counts, isCounted ? ONE : NONE);
      const said = conn.addresses[0]!.lastFailure?.text.replace(/^the connection to .* was lost: /, '');
      if (text === undefined) t.equal(said, undefined);
      else t.match(said, text);
    },
  );
}

behaviour(
  'an attempt that fails is counted, and nothing when a connection is closed here',
  async (t, world) => {
    const nobody = world.dial(await freePort());
    nobody.connect();
    await nobody.waitForStateChange('CONNECTING');
    t.same(nobody.counts, ONE);
    t.match(nobody.addresses[0]!.lastFailure?.text, /^cannot connect to .*: connection refused$/);
    t.ok(Math.abs(nobody.addresses[0]!.lastFailure!.at - Date.now()) < 10_000);
    const backend = await world.frameBackend((peer) => peer.send(settings()));
    const closed = world.dial(backend.port);
    closed.connect();
    await closed.waitForStateChange('CONNECTING');
    await closed.close();
    const silent = await world.frameBackend();
    const destroyed = world.dial(silent.port);
    destroyed.connect();
    destroyed.destroy();
    await eventually('it has gone', () => destroyed.addresses[0]!.connections === 0);
    t.same([closed.counts, destroyed.counts], [NONE, NONE]);
  },
);
