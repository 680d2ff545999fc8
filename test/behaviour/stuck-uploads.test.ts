import { type CallOutcome, encodeMessage } from '../../lib/index.js';
import { heldBytes } from '../../lib/port/account.js';
import { behaviour } from '../support/behaviour.js';
import { eventually } from '../support/eventually.js';
import { RESPONSE, TRAILERS } from '../support/fields.js';
import {
  data,
  END,
  ErrorCode,
  FrameType,
  goAway,
  headers,
  resetStream,
  Setting,
  settings,
} from '../support/frame.js';
import type { FramePeer } from '../support/frame-peer.js';
import { MESSAGE, METHOD } from '../support/unary.js';

/** Makes the looks frequent by which node:http2's streams are counted. */
const LOOKS = { settingsTimeoutMilliseconds: 100 };

const ENDS: Readonly<Record<string, (peer: FramePeer) => void>> = {
  'as Node destroys a session': (peer) => {
    peer.send(resetStream(1, ErrorCode.NO_ERROR), goAway(1, ErrorCode.NO_ERROR));
    peer.socket.end();
  },
  'with RST_STREAM(NO_ERROR) alone': (peer) => peer.send(resetStream(1, ErrorCode.NO_ERROR)),
  'with GOAWAY alone': (peer) => {
    peer.send(goAway(1, ErrorCode.NO_ERROR));
    peer.socket.end();
  },
  'without a word': (peer) => void peer.socket.end(),
};

for (const [how, end] of Object.entries(ENDS)) {
  for (const answers of ['wholly', 'not']) {
    behaviour(
      `a backend that takes no DATA, answers ${answers}, and goes ${how}: nothing stays held`,
      async (t, world) => {
        const backend = await world.frameBackend((peer) =>
          peer.send(settings([Setting.INITIAL_WINDOW_SIZE, 0])),
        );
        const conn = world.dial(backend.port, { limits: LOOKS });
        const outcomes: CallOutcome[] = [];
        const { port } = await world.proxy(() => ({ primary: { conn } }), {
          observer: { onCall: (outcome) => void outcomes.push(outcome) },
        });
        const client = world.http2Client(port);
        const call = client.call(METHOD, encodeMessage(Buffer.alloc(200)));
        const peer = await backend.accept();
        await peer.first(1, FrameType.HEADERS);
        await eventually('the request is counted', () => heldBytes() > 0);
        if (answers === 'wholly')
          peer.send(headers(1, RESPONSE), data(1, MESSAGE), headers(1, TRAILERS, END));
        end(peer);
        await call;
        await eventually('the call is over', () => outcomes.length === 1);
        client.destroy();
        await eventually(`0 of ${heldBytes()} bytes are held`, () => heldBytes() === 0, 2000);
        t.equal(outcomes[0]!.failure === undefined, answers === 'wholly');
      },
    );
  }
}
