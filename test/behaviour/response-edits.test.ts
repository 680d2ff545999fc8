import type { OutgoingHttpHeaders } from 'node:http2';
import {
  Code,
  Metadata,
  type ServerStream,
  StatusError,
  type StreamInterceptor,
  type StreamParameters,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { deferred } from '../support/deferred.js';
import { respond } from '../support/http2-backend.js';
import { fieldValue, type Response } from '../support/http2-client.js';
import { ProcessEvents } from '../support/process-events.js';
import { MESSAGE, METHOD, message, status } from '../support/unary.js';

// What the application changes of a response that a backend makes: `setHeader`, `setTrailer`, and the director's hooks.

const PLAIN: StreamInterceptor = (_stream, next) => next();

/** A backend that answers each path in another way, and a proxy whose interceptor and parameters are these. */
async function proxied(world: World, given: Omit<StreamParameters, 'primary'> = {}) {
  const backend = await world.http2Backend(({ stream, headers }) => {
    const only = (fields: OutgoingHttpHeaders): void =>
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc+test', 'x-backend': 'o', ...fields },
        { endStream: true },
      );
    const trailers = { 'x-backend': 't', 'grpc-status-details-bin': 'AAA' };
    switch (headers[':path']) {
      case '/test.Service/Fails':
        respond(
          stream,
          MESSAGE,
          { 'grpc-status': '9', 'grpc-message': 'not%20now', ...trailers },
          { 'x-backend': 'h' },
        );
        break;
      case '/test.Service/Only':
        only({ 'grpc-status': '5', 'grpc-message': 'gone' });
        break;
      case '/test.Service/OnlyOk':
        only({ 'grpc-status': '0' });
        break;
      case '/test.Service/Silent':
        break;
      default:
        respond(stream, MESSAGE, { 'grpc-status': '0', ...trailers }, { 'x-backend': 'h' });
    }
  });
  const conn = world.dial(backend.port);
  const hooks = { intercept: PLAIN };
  const { port } = await world.proxy(
    ({ method }) => {
      if (method === '/test.Service/Refused') {
        throw new StatusError(Code.NOT_FOUND, 'no route', new Metadata({ 'x-own': 'd' }));
      }
      return { primary: { conn }, ...given };
    },
    { interceptors: [(stream, next) => hooks.intercept(stream, next)] },
  );
  const client = world.http2Client(port);
  const call = (name: string, fields = {}) => client.call(`/test.Service/${name}`, MESSAGE, fields);
  return { call, hooks };
}

/** The fields of a response, sorted, but for those that each has; a Trailers-Only response's are all trailers. */
function fieldsOf({ headers, trailers, trailersOnly }: Response): [headers: string[], trailers: string[]] {
  const own = (list: string[] = []): string[] => {
    const fields: string[] = [];
    for (let i = 0; i < list.length; i += 2) {
      if (/^(:status|content-type|date|grpc-accept-encoding)$/.test(list[i]!)) continue;
      fields.push(`${list[i]}: ${list[i + 1]}`);
    }
    // node:http2 puts fields of one name together.
    return fields.sort();
  };
  return trailersOnly ? [[], own(headers)] : [own(headers), own(trailers)];
}

behaviour('what is added to headers and trailers goes with whatever ends the call', async (t, world) => {
  const { call, hooks } = await proxied(world);
  const untouched = fieldsOf(await call('Fails'));
  hooks.intercept = async (stream, next) => {
    stream.setHeader(new Metadata({ 'x-id': '1' }));
    stream.setTrailer(new Metadata({ 'x-cost': '1', 'x-sum-bin': Buffer.of(255) }));
    stream.setTrailer(new Metadata({ 'x-cost': '2', 'x-backend': 'own' }));
    try {
      await next();
    } finally {
      stream.setTrailer(new Metadata({ 'x-after': 'yes' }));
    }
  };
  const added = ['x-cost: 1', 'x-sum-bin: /w', 'x-cost: 2', 'x-backend: own', 'x-after: yes'];
  const DETAILS = 'grpc-status-details-bin: AAA';
  t.strictSame(fieldsOf(await call('Answers')), [
    ['x-backend: h', 'x-id: 1'],
    ['grpc-status: 0', 'x-backend: t', DETAILS, ...added].sort(),
  ]);
  t.strictSame(fieldsOf(await call('Fails')), [
    ['x-backend: h', 'x-id: 1'],
    ['grpc-status: 9', 'grpc-message: not%20now', 'x-backend: t', DETAILS, ...added].sort(),
  ]);
  const ends: readonly (readonly [string, object, string[]])[] = [
    ['Only', {}, ['grpc-status: 5', 'grpc-message: gone', 'x-backend: o']],
    ['OnlyOk', {}, ['grpc-status: 0', 'x-backend: o']],
    ['Refused', {}, ['grpc-status: 5', 'grpc-message: no route', 'x-own: d']],
    [
      'Silent',
      { 'grpc-timeout': '50m' },
      ['grpc-status: 4', 'grpc-message: the deadline of the call has passed'],
    ],
  ];
  for (const [name, fields, trailers] of ends) {
    const response = await call(name, fields);
    // It is told at once, before the interceptor goes on.
    const expected = name === 'Silent' ? added.slice(0, -1) : added;
    t.strictSame(fieldsOf(response), [['x-id: 1'], [...trailers, ...expected].sort()], name);
    if (name === 'Only') t.equal(fieldValue(response.headers, 'content-type'), 'application/grpc+test');
  }
  hooks.intercept = PLAIN;
  t.strictSame(fieldsOf(await call('Fails')), untouched);
  t.ok((await call('Only')).trailersOnly);
});

behaviour('trailers alone leave a Trailers-Only answer one', async (t, world) => {
  const { call, hooks } = await proxied(world);
  hooks.intercept = async (stream, next) => {
    stream.setTrailer(new Metadata({ 'x-cost': '1' }));
    await next();
  };
  for (const name of ['Only', 'OnlyOk', 'Refused']) {
    const response = await call(name);
    t.ok(response.trailersOnly, name);
    t.ok(fieldsOf(response)[1].includes('x-cost: 1'));
  }
  hooks.intercept = (stream) => {
    stream.setTrailer(new Metadata({ 'x-cost': '1' }));
    throw new StatusError(Code.UNAUTHENTICATED, 'who?', new Metadata({ 'x-own': 'i' }));
  };
  const refused = await call('Answers');
  t.ok(refused.trailersOnly);
  t.strictSame(fieldsOf(refused)[1], ['grpc-message: who?', 'grpc-status: 16', 'x-cost: 1', 'x-own: i']);
});

behaviour(
  'headers are refused once they are sent, and nothing is once the call has ended',
  async (t, world) => {
    const events = new ProcessEvents(t);
    const { call, hooks } = await proxied(world);
    const ended = deferred<ServerStream>();
    hooks.intercept = async (stream, next) => {
      await next();
      t.throws(() => stream.setHeader(new Metadata({ 'x-late': '1' })), {
        message: /have been sent already/,
      });
      stream.setTrailer(new Metadata({ 'x-in-time': '1' }));
      ended.resolve(stream);
    };
    const response = await call('Answers');
    t.equal(fieldValue(response.trailers, 'x-in-time'), '1');
    (await ended.promise).setTrailer(new Metadata({ 'x-late': '1' }));
    const refused = deferred<ServerStream>();
    hooks.intercept = (stream) => {
      refused.resolve(stream);
      throw new StatusError(Code.ABORTED, 'no');
    };
    t.strictSame(fieldsOf(await call('Answers')), [[], ['grpc-message: no', 'grpc-status: 10']]);
    (await refused.promise).setHeader(new Metadata({ 'x-late': '1' }));
    for (const nonsense of ['text', 7, null, { 'x-late': 7 }]) {
      hooks.intercept = async (stream, next) => {
        stream.setTrailer(nonsense as unknown as Metadata);
        await next();
      };
      t.equal(status(await call('Answers')), String(Code.UNKNOWN));
    }
    await events.settled();
    t.strictSame(events.fatal, []);
  },
);

behaviour('a local handler adds to what it sends, and to its error', async (t, world) => {
  const { port } = await world.serve({
    unknownServiceHandler: async (stream) => {
      stream.setHeader({ 'x-first': '1' });
      stream.setTrailer(new Metadata({ 'x-cost': '1' }));
      stream.sendHeader(new Metadata({ 'x-second': '2' }));
      stream.setTrailer(new Metadata({ 'x-cost': '2' }));
      throw new StatusError(Code.DATA_LOSS, 'lost', new Metadata({ 'x-own': 'h' }));
    },
  });
  t.strictSame(fieldsOf(await world.http2Client(port).call(METHOD, MESSAGE)), [
    ['x-first: 1', 'x-second: 2'],
    ['grpc-message: lost', 'grpc-status: 15', 'x-cost: 1', 'x-cost: 2', 'x-own: h'],
  ]);
});

behaviour('a director edits the metadata of the trailers, whatever ends the call', async (t, world) => {
  const events = new ProcessEvents(t);
  const seen: unknown[] = [];
  let edit = (metadata: Metadata, error: StatusError | undefined): void => {
    const names = [...metadata].map(([name]) => name).filter((name) => name !== 'date');
    seen.push([names, error?.code]);
    metadata.delete('x-backend');
    metadata.set('x-edited', 'yes');
  };
  const { call, hooks } = await proxied(world, {
    editResponseHeaders: (metadata) => void metadata.set('x-edge', 'here'),
    editResponseTrailers: (metadata, error) => edit(metadata, error),
  });
  hooks.intercept = async (stream, next) => {
    stream.setTrailer(new Metadata({ 'x-added': '1' }));
    await next();
  };
  const DETAILS = 'grpc-status-details-bin: AAA';
  t.strictSame(fieldsOf(await call('Answers')), [
    ['x-backend: h', 'x-edge: here'],
    ['grpc-status: 0', DETAILS, 'x-added: 1', 'x-edited: yes'].sort(),
  ]);
  t.strictSame(
    fieldsOf(await call('Fails'))[1],
    ['grpc-message: not%20now', DETAILS, 'grpc-status: 9', 'x-added: 1', 'x-edited: yes'].sort(),
  );
  t.strictSame(fieldsOf(await call('Only')), [
    [],
    ['grpc-message: gone', 'grpc-status: 5', 'x-added: 1', 'x-edge: here', 'x-edited: yes'],
  ]);
  t.equal(status(await call('Silent', { 'grpc-timeout': '50m' })), '4');
  const names = ['x-backend', 'grpc-status-details-bin', 'x-added'];
  t.strictSame(seen, [
    [names, undefined],
    [names, Code.FAILED_PRECONDITION],
    [['x-backend', 'x-added', 'x-edge'], Code.NOT_FOUND],
    [['x-added', 'x-edge'], Code.DEADLINE_EXCEEDED],
  ]);
  // It cannot make another status of it, and what it throws takes nothing but the metadata.
  const hostile: (typeof edit)[] = [
    (metadata) => metadata.set('grpc-status', '0'),
    (metadata) => metadata.append('grpc-message', 'never mind'),
    () => {
      throw new Error('of the application');
    },
  ];
  for (const one of hostile) {
    edit = one;
    t.strictSame(fieldsOf(await call('Fails'))[1], ['grpc-message: not%20now', 'grpc-status: 9']);
    const ok = await call('Answers');
    t.strictSame([status(ok), message(ok), String(ok.data)], ['0', undefined, String(MESSAGE)]);
  }
  await events.settled();
  t.equal(events.warnings.length, 2 * hostile.length);
  t.strictSame(events.fatal, []);
});

behaviour('an editor that is async harms nobody, and its metadata is left out', async (t, world) => {
  const events = new ProcessEvents(t);
  const late = async (metadata: Metadata): Promise<void> => {
    metadata.set('x-early', 'yes');
    await Promise.resolve();
    metadata.delete('x-backend');
    throw new Error('of the application');
  };
  for (const name of ['editResponseHeaders', 'editResponseTrailers'] as const) {
    const { call } = await proxied(world, { [name]: late });
    const isOfHeaders = name === 'editResponseHeaders';
    t.strictSame(fieldsOf(await call('Fails')), [
      isOfHeaders ? [] : ['x-backend: h'],
      isOfHeaders
        ? ['grpc-message: not%20now', 'grpc-status-details-bin: AAA', 'grpc-status: 9', 'x-backend: t']
        : ['grpc-message: not%20now', 'grpc-status: 9'],
    ]);
    await events.settled();
    t.strictSame(events.warnings.splice(0), [
      `${name} must not return a promise: nothing waits for it`,
      'of the application',
    ]);
  }
  t.strictSame(events.fatal, []);
});

behaviour('an error whose own fields are none harms nobody, edited or not', async (t, world) => {
  class Odd extends StatusError {
    override toTrailers(): string[] {
      return [7, {}] as unknown as string[];
    }
  }
  const events = new ProcessEvents(t);
  const { call, hooks } = await proxied(world, {
    editResponseHeaders: () => {},
    editResponseTrailers: () => {},
  });
  hooks.intercept = async (stream, next) => {
    stream.setTrailer(new Metadata({ 'x-added': '1' }));
    await next();
    throw new Odd(Code.ABORTED, 'odd');
  };
  t.equal(status(await call('Answers')), undefined, 'it is reset');
  hooks.intercept = PLAIN;
  t.equal(status(await call('Answers')), '0');
  await events.settled();
  t.strictSame(events.fatal, []);
});

behaviour('what is no metadata is refused where it is given', async (t, world) => {
  const { call, hooks } = await proxied(world);
  const refusal = { name: 'TypeError', code: /^ERR_INVALID_ARG_/ };
  hooks.intercept = (stream, next) => {
    for (const nonsense of [5, 'x-a: b', null, { 'x-a': 5 }, { 'grpc-status': '0' }] as never[]) {
      t.throws(() => stream.setHeader(nonsense), refusal);
      t.throws(() => stream.setTrailer(nonsense), refusal);
      t.throws(() => stream.context.withMetadata(nonsense), refusal);
    }
    return next(stream.context.withMetadata({ 'x-made-of': 'an object' }));
  };
  t.equal(status(await call('Method')), '0');
});
