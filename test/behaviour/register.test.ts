import t from 'tap';
import {
  Code,
  registerService,
  registerStreamHandlers,
  Server,
  type ServerStream,
  type StreamHandler,
} from '../../lib/index.js';
import { behaviour } from '../support/behaviour.js';

const SERVICE = 'test.Greeter';

class Base {
  Inherited(stream: ServerStream): Promise<void> {
    return stream.sendMessage(Buffer.from(`inherited by ${this.constructor.name}`));
  }

  Overridden(_stream: ServerStream): void {
    throw new Error('not this one');
  }
}

class Greeter extends Base {
  readonly #greeting: string;
  private readonly state = 'some state';

  constructor(greeting: string) {
    super();
    this.#greeting = greeting;
  }

  readonly Field = async (stream: ServerStream): Promise<void> => {
    await stream.sendMessage(Buffer.from(this.state));
  };

  async Greet(stream: ServerStream): Promise<void> {
    await this.#send(stream, this.#greeting);
  }

  override Overridden(stream: ServerStream): Promise<void> {
    return this.#send(stream, 'overridden');
  }

  #send(stream: ServerStream, text: string): Promise<void> {
    return stream.sendMessage(Buffer.from(text));
  }
}

behaviour('the methods of a class are handlers, and know their instance', async (t, world) => {
  const { port } = await world.serve({}, (server) => {
    registerStreamHandlers(server, SERVICE, new Greeter('hello'));
  });
  const client = world.grpcClient(port);
  const said: Record<string, string> = {
    Greet: 'hello',
    Field: 'some state',
    Inherited: 'inherited by Greeter',
    Overridden: 'overridden',
  };
  for (const [method, text] of Object.entries(said)) {
    const { code, messages } = await client.call(`/${SERVICE}/${method}`, []);
    t.strictSame([code, messages.map(String)], [Code.OK, [text]], method);
  }
  for (const method of ['constructor', 'state', 'toString', '#send', 'hasOwnProperty']) {
    const { code, details } = await client.call(`/${SERVICE}/${method}`, []);
    t.strictSame([code, details], [Code.UNIMPLEMENTED, `unknown method ${method} for service ${SERVICE}`]);
  }
});

behaviour('handlers in a plain object know it', async (t, world) => {
  const handlers = {
    async Greet(this: unknown, stream: ServerStream): Promise<void> {
      await stream.sendMessage(Buffer.from(String(this === handlers)));
    },
  };
  const { port } = await world.serve({}, (server) => server.register(SERVICE, handlers));
  const { messages } = await world.grpcClient(port).call(`/${SERVICE}/Greet`, []);
  t.same(messages.map(String), ['true']);
});

t.test('what is no handler is a TypeError that names service and method', async (t) => {
  const ok: StreamHandler = () => {};
  class Empty {
    readonly state = 1;
  }
  const cases: readonly (readonly [unknown, string])[] = [
    [{ Ok: ok, Bad: 'text' }, 'service "test.Greeter": the handler of Bad is not a function'],
    [{ Bad: undefined }, 'service "test.Greeter": the handler of Bad is not a function'],
    [
      Object.assign(Object.create(null), { Bad: 7 }),
      'service "test.Greeter": the handler of Bad is not a function',
    ],
    [{}, 'service "test.Greeter": there is no handler in what was given for it'],
    [new Empty(), 'service "test.Greeter": there is no handler in what was given for it'],
    ...[undefined, null, 'text', Greeter, [ok], new Map([['Greet', ok]])].map(
      (nonsense) =>
        [
          nonsense,
          'service "test.Greeter": its handlers must be an object that has them by the names of methods',
        ] as const,
    ),
  ];
  const server = new Server();
  t.teardown(() => server.destroy());
  for (const [handlers, text] of cases) {
    t.throws(() => registerStreamHandlers(server, SERVICE, handlers as Record<string, StreamHandler>), {
      name: 'TypeError',
      message: text,
    });
  }
  t.throws(() => registerService(server, () => ({ primary: undefined as never }), SERVICE), TypeError);
  server.register(SERVICE, { Ok: ok });
  t.pass('what failed has registered nothing');
});

t.test('the types say what a handler is', async (t) => {
  const server = new Server();
  t.teardown(() => server.destroy());
  // The parameter's type is known.
  server.register('test.Typed', { Greet: async (stream) => stream.sendHeader() });
  const wrong = { Greet: (_text: string) => {} };
  // @ts-expect-error: a handler takes a stream
  server.register('test.Wrong', wrong);
  // @ts-expect-error: a number is no handler
  t.throws(() => server.register('test.Number', { Greet: 7 }), TypeError);
});
