import {
  Code,
  encodeMessage,
  handleStream,
  type ServerStream,
  StatusError,
  type StreamHandler,
  transparentHandler,
} from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { respond } from '../support/http2-backend.js';
import type { Collected } from '../support/http2-body.js';
import { collectResponse, fieldValue } from '../support/http2-client.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));

behaviour('a call whose response headers an interceptor has sent cannot be proxied', async (t, world) => {
  let requests = 0;
  const backend = await world.http2Backend(() => requests++);
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    interceptors: [
      (stream, next) => {
        stream.sendHeader();
        return next();
      },
    ],
  });
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.trailers, 'grpc-status'), '13');
  t.equal(
    fieldValue(response.trailers, 'grpc-message'),
    'the call cannot be proxied: its response headers have been sent here',
  );
  t.equal(requests, 0);
});

behaviour('a call whose messages an interceptor has read cannot be proxied', async (t, world) => {
  let requests = 0;
  const backend = await world.http2Backend(() => requests++);
  const conn = world.dial(backend.port);
  const { port } = await world.proxy(() => ({ primary: { conn } }), {
    interceptors: [
      async (stream, next) => {
        for await (const message of stream) {
          t.equal(message.toString(), 'message');
          break;
        }
        await next();
      },
    ],
  });
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.headers, 'grpc-status'), '13');
  t.equal(
    fieldValue(response.headers, 'grpc-message'),
    'the call cannot be proxied: its messages have been read here',
  );
  t.equal(requests, 0);
});

behaviour(
  'a handler that throws while its call is proxied ends the streams to backends',
  async (t, world) => {
    const bodies: Promise<Collected>[] = [];
    let arrived!: () => void;
    const request = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const backend = await world.http2Backend(({ body }) => {
      bodies.push(body());
      arrived();
    });
    const conn = world.dial(backend.port);
    const outcomes: (StatusError | undefined)[] = [];
    const handler: StreamHandler = async (stream) => {
      void handleStream(stream, METHOD, { primary: { conn } }).then((error) => outcomes.push(error));
      await request;
      throw new StatusError(Code.ABORTED, 'changed my mind');
    };
    const { port } = await world.serve({ unknownServiceHandler: handler });
    const stream = world.http2Client(port).open(METHOD);
    stream.write(MESSAGE);
    const { headers } = await collectResponse(stream);
    t.equal(fieldValue(headers, 'grpc-status'), '10');
    t.match(await bodies[0], { aborted: true, resetCode: 8 });
    t.match(outcomes, [{ code: Code.ABORTED, message: 'changed my mind' }]);
  },
);

behaviour('a call can be proxied once', async (t, world) => {
  const backend = await world.http2Backend(async ({ stream, body }) => {
    await body();
    respond(stream, MESSAGE);
  });
  const conn = world.dial(backend.port);
  const second: unknown[] = [];
  const handler = async (stream: ServerStream): Promise<void> => {
    const first = handleStream(stream, METHOD, { primary: { conn } });
    await handleStream(stream, METHOD, { primary: { conn } }).catch((error) => second.push(error));
    await first;
  };
  const { port } = await world.serve({ unknownServiceHandler: handler });
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.trailers, 'grpc-status'), '0');
  t.match(second, [{ code: Code.INTERNAL, message: 'the call cannot be proxied: it is proxied already' }]);
});

behaviour('a stream that no Server made cannot be proxied', async (t, world) => {
  const handler = transparentHandler(() => {
    throw new Error('unreachable');
  });
  const { port } = await world.serve({
    unknownServiceHandler: (stream) => handler(Object.create(stream) as ServerStream),
  });
  const response = await world.http2Client(port).call(METHOD, MESSAGE);
  t.equal(fieldValue(response.headers, 'grpc-status'), '13');
});
