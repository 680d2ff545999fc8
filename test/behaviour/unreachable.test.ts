import { Code, encodeMessage, type StatusError } from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';
import { freePort } from '../support/free-port.js';
import { type OnRequest, respond } from '../support/http2-backend.js';
import type { Collected } from '../support/http2-body.js';
import { fieldValue } from '../support/http2-client.js';

import { dialled } from '../support/unary.js';

const METHOD = '/test.Service/Method';
const MESSAGE = encodeMessage(Buffer.from('message'));
const ANSWER = encodeMessage(Buffer.from('answer'));

behaviour('a primary that cannot be opened: every error handler is told, and ignored', async (t, world) => {
  const told: string[][] = [[], [], []];
  const cancelled: Promise<Collected>[] = [];
  const hangs: OnRequest = ({ body }) => cancelled.push(body());
  const { destinations } = await dialled(world, [hangs, hangs]);
  const nowhere = { conn: world.dial(await freePort()) };
  const finalized: (StatusError | undefined)[] = [];
  const [primary, ...secondaries] = [nowhere, ...destinations].map(({ conn }, i) => ({
    conn,
    errHandler: (error: StatusError) => {
      told[i]!.push(`${error.code} ${error.message}`);
      if (i === 1) throw new Error('not lost');
      // Not an Error: a warning cannot be made of it.
      return i === 2 ? Promise.reject(undefined) : null;
    },
  }));
  const warning = new Promise<Error>((resolve) => process.once('warning', resolve));
  const proxy = await world.proxy(() => ({
    primary: primary!,
    secondaries,
    requestFinalizer: (error) => {
      finalized.push(error);
    },
  }));
  const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
  t.equal(response.trailersOnly, true);
  t.equal(fieldValue(response.headers, 'grpc-status'), '14');
  t.match(fieldValue(response.headers, 'grpc-message'), /^cannot connect to .*: connection refused$/);
  for (const texts of told) {
    t.equal(texts.length, 1);
    t.match(texts[0], /^14 initiate primary stream: .*: connection refused$/);
  }
  t.match(finalized, [{ code: Code.UNAVAILABLE }]);
  t.equal(finalized.length, 1);
  t.equal((await warning).message, 'not lost');
  for (const body of await Promise.all(cancelled)) t.match(body, { aborted: true, resetCode: 8 });
});

for (const [verdict, expected] of [
  [null, '0'],
  [undefined, '13'],
] as const) {
  behaviour(
    `a secondary that cannot be opened, whose error handler returns ${verdict}: the others get the whole request`,
    async (t, world) => {
      const bodies: Collected[] = [];
      const answersAtEnd: OnRequest = async ({ stream, body }) => {
        bodies.push(await body());
        respond(stream, ANSWER);
      };
      const { destinations } = await dialled(world, [answersAtEnd, answersAtEnd]);
      const told: string[] = [];
      const nowhere = {
        conn: world.dial(await freePort()),
        errHandler: (error: StatusError) => {
          told.push(`${error.code} ${error.message}`);
          return verdict;
        },
      };
      const bystander: string[] = [];
      const [primary, other] = destinations;
      const proxy = await world.proxy(() => ({
        primary: {
          ...primary!,
          errHandler: (error) => {
            bystander.push(error.message);
          },
        },
        secondaries: [nowhere, other!],
      }));
      const response = await world.http2Client(proxy.port).call(METHOD, MESSAGE);
      t.equal(fieldValue(response.trailers, 'grpc-status'), expected);
      t.same(response.data, ANSWER);
      for (const body of bodies) t.same(body.data, MESSAGE);
      t.equal(bodies.length, 2);
      t.equal(told.length, 1);
      t.match(told[0], /^14 initiate secondary stream: cannot connect to .*: connection refused$/);
      t.same(bystander, [], 'it is nobody else’s failure');
      if (expected === '13') {
        t.match(
          fieldValue(response.trailers, 'grpc-message'),
          /^failed proxying to secondary: initiate secondary stream: cannot connect to /,
        );
      }
    },
  );
}
