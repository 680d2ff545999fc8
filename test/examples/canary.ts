// Sends the calls of one user in twenty to a new version: a user is always or never among them. Whether it fails more often
// than what is known to work is counted by the name of the way that a call took.
import { createHash } from 'node:crypto';
import { dial, Server, type StreamDirector, transparentHandler } from 'grpc-frame-proxy';

const PERCENT = 5;
const stable = dial('http://127.0.0.1:50061');
const canary = dial('http://127.0.0.1:50062');

const director: StreamDirector = (ctx) => {
  const user = ctx.metadata.get('x-user') ?? '';
  const draw = createHash('sha256').update(user).digest().readUInt32BE() / 2 ** 32;
  return draw * 100 < PERCENT
    ? { primary: { conn: canary }, route: 'canary' }
    : { primary: { conn: stable }, route: 'stable' };
};

const server = new Server({
  unknownServiceHandler: transparentHandler(director),
  observer: {
    onCall: ({ route, method, failure }) => {
      if (failure !== undefined) console.error(`${route}: ${method}: ${failure.error.message}`);
    },
  },
});
await server.listen('127.0.0.1:50051');
