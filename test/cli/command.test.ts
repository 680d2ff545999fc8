import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Child } from '../support/child.js';
import { MAIN, portOf, startCommand as start } from '../support/command.js';
import { echo, GrpcBackend } from '../support/grpc-backend.js';
import { collect, GrpcClient } from '../support/grpc-client.js';

async function backend(t: Test): Promise<GrpcBackend> {
  const started = await GrpcBackend.start({ '/test.Echo/Echo': echo });
  t.teardown(() => started.destroy());
  return started;
}

function client(t: Test, port: number): GrpcClient {
  const made = new GrpcClient(port);
  t.teardown(() => made.close());
  return made;
}

t.test('--help and --version print and exit 0', async (t) => {
  const help = start(t, '--help');
  t.equal(await help.ended(), 0);
  for (const option of [
    '--listen',
    '--primary',
    '--secondary',
    '--shadow',
    '--shadow-percent',
    '--compare',
    '--load-balancing',
    '--transport',
    '--drain-timeout',
    '--help',
    '--version',
  ]) {
    t.match(help.stdout, option);
  }
  const version = start(t, '--version');
  t.equal(await version.ended(), 0);
  t.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
});

t.test('a wrong command line is one line that names the option, exit 2, nothing started', async (t) => {
  const cases: [string[], RegExp][] = [
    [['--frobnicate'], /unknown option --frobnicate/],
    [['-x'], /unknown option -x/],
    [['stray'], /unexpected argument "stray"/],
    [['--listen'], /--listen needs a value/],
    [['--listen', 'nowhere'], /--listen: "nowhere" is no address: give HOST:PORT/],
    [['--listen', ':1', '--listen', 'a:2', '--listen', ':1'], /--listen: ":1" is given twice/],
    [['--primary', 'a:1', '--listen', ':1', '--admin', ':1'], /admin: is the address of listen\[0\], too/],
    [['--listen', 'localhost:70000'], /--listen: "localhost:70000" is no address/],
    [
      ['--primary', 'ftp://host:1'],
      /--primary: "ftp:\/\/host:1" has an unknown scheme: give http:\/\/HOST:PORT/,
    ],
    [['--primary', 'http://host:1/path'], /--primary: .* has more than an address/],
    [['--primary', 'a:1', '--primary', 'b:1'], /--primary can be given once/],
    [['--primary', 'a:1', '--secondary', 'b'], /--secondary: "b" is no address/],
    [['--secondary', 'b:1'], /--secondary needs --primary/],
    [['--shadow', 'b:1'], /--shadow needs --primary/],
    [['--primary', 'a:1', '--shadow', 'b'], /--shadow: "b" is no address/],
    [['--primary', 'a:1', '--shadow-percent', '5'], /--shadow-percent needs --shadow/],
    [
      ['--primary', 'a:1', '--shadow', 'b:1', '--shadow-percent', '101'],
      /--shadow-percent: "101" is none: give a number from 0 to 100/,
    ],
    [['--primary', 'a:1', '--compare'], /--compare needs --shadow or --secondary/],
    [
      ['--load-balancing', 'random'],
      /--load-balancing: "random" is none: give pick_first, round_robin or least_request/,
    ],
    [['--transport', 'carrier-pigeon'], /--transport: "carrier-pigeon" is none: give http2 or frames/],
    [['--transport', 'http2', '--transport', 'frames'], /--transport can be given once/],
    [['--drain-timeout', 'soon'], /--drain-timeout: "soon" is no duration: give 250ms, 5s or 2m/],
    [['--drain-timeout', '5'], /--drain-timeout: "5" is no duration/],
    [['--drain-timeout=-5s'], /--drain-timeout: "-5s" is no duration/],
    [['--help=yes'], /--help takes no value/],
  ];
  await Promise.all(
    cases.map(async ([args, message]) => {
      const command = start(t, ...args);
      t.equal(await command.ended(), 2, args.join(' '));
      t.match(command.stderr, message);
      t.equal(command.stderr.trimEnd().split('\n').length, 1, 'one line');
      t.equal(command.stdout, '', 'nothing started');
    }),
  );
});

t.test('an address in use is one line, exit 1, and leaves nothing listening', async (t) => {
  const taken = net.createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as net.AddressInfo;
  const command = start(t, '--listen', '127.0.0.1:0', '--listen', `127.0.0.1:${port}`);
  t.equal(await command.ended(), 1);
  t.equal(command.stderr, `grpc-frame-proxy: cannot listen at 127.0.0.1:${port}: the address is in use\n`);
});

t.test('without --primary a call goes to demo backends, which are named in the output', async (t) => {
  const command = start(t, '--listen', '127.0.0.1:0');
  const port = await portOf(command);
  const result = await client(t, port).call('/any.Service/Method', ['hello']);
  t.equal(result.code, 0);
  t.same(result.messages.map(String), ['hello']);
  t.same(result.trailers.get('demo-backend'), ['primary']);
  for (const name of ['primary', 'secondary 1', 'secondary 2', 'shadow']) {
    await command.printed(new RegExp(`${name} got /any.Service/Method, a message of 5 bytes`));
  }
});

t.test('--primary and --secondary get every call, at every --listen address', async (t) => {
  const primary = await backend(t);
  const secondary = await backend(t);
  // A socket's path has room for about a hundred bytes only.
  const directory = await mkdtemp(join(tmpdir(), 'proxy-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const path = join(directory, 'proxy.sock');
  const command = start(
    t,
    ...['--listen', '127.0.0.1:0', '--listen', `unix:${path}`],
    ...['--primary', `http://127.0.0.1:${primary.port}`, '--secondary', `127.0.0.1:${secondary.port}`],
  );
  const port = await portOf(command);
  t.match(command.stdout, `unix:${path}`);
  t.equal(command.stdout.trimEnd().split('\n').length, 1, 'ready is one line');
  const overTcp = await client(t, port).call('/test.Echo/Echo', ['tcp']);
  t.same(overTcp.messages.map(String), ['tcp']);
  const unixClient = new GrpcClient(`unix:${path}`);
  t.teardown(() => unixClient.close());
  const overUnix = await unixClient.call('/test.Echo/Echo', ['unix']);
  t.same(overUnix.messages.map(String), ['unix']);
  secondary.destroy();
  const failed = await client(t, port).call('/test.Echo/Echo', ['x']);
  t.equal(failed.code, 13, 'a secondary must be there');
});

for (const transport of ['http2', 'frames']) {
  t.test(
    `SIGTERM lets the running call finish, refuses new connections, and exits 0 (${transport})`,
    async (t) => {
      const primary = await backend(t);
      const target = `127.0.0.1:${primary.port}`;
      const command = start(t, '--listen', '127.0.0.1:0', '--primary', target, '--transport', transport);
      const port = await portOf(command);
      const call = client(t, port).open('/test.Echo/Echo');
      const result = collect(call);
      call.write(Buffer.from('before'));
      await once(call, 'data');
      command.signal('SIGTERM');
      await command.printed(/SIGTERM: draining/);
      const refused = net.connect(port, '127.0.0.1');
      const [error] = await once(refused, 'error');
      t.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
      call.write(Buffer.from('after'));
      call.end();
      const { code, details, messages } = await result;
      t.equal(code, 0, details);
      t.same(messages.map(String), ['before', 'after']);
      t.equal(await command.ended(), 0);
      t.match(command.stderr, /: drained\n$/, 'not before it was drained');
    },
  );
}

t.test('the command outlives who reads its output: calls go on, and SIGTERM drains', async (t) => {
  const command = start(t, '--listen', '127.0.0.1:0');
  const port = await portOf(command);
  command.leaveOutput();
  // The demo backends print a line for each call.
  for (const text of ['first', 'second']) {
    const { code, messages } = await client(t, port).call('/any.Service/Method', [text]);
    t.equal(code, 0);
    t.same(messages.map(String), [text]);
  }
  command.signal('SIGTERM');
  t.equal(await command.ended(), 0);
});

t.test('--version to a reader that has gone exits 0', async (t) => {
  const command = start(t, '--version');
  command.leaveOutput();
  t.equal(await command.ended(), 0);
});

t.test(
  'a full disk under the output is told on standard error, once, and ends nothing',
  { skip: existsSync('/dev/full') ? false : 'there is no /dev/full here' },
  async (t) => {
    const command = Child.start(t, 'sh', '-c', 'exec "$0" "$@" >/dev/full', process.execPath, MAIN, '--help');
    t.equal(await command.ended(), 0);
    t.match(command.stderr, /^grpc-frame-proxy: standard output is lost: ENOSPC.*\n$/);
  },
);

for (const transport of ['http2', 'frames']) {
  t.test(`what still runs after --drain-timeout is ended, counted, and exit 0 (${transport})`, async (t) => {
    const primary = await backend(t);
    const options = ['--drain-timeout', '300ms', '--transport', transport];
    const command = start(t, '--listen', '127.0.0.1:0', '--primary', `127.0.0.1:${primary.port}`, ...options);
    const port = await portOf(command);
    const results = [1, 2].map(async () => {
      const call = client(t, port).open('/test.Echo/Echo');
      const result = collect(call);
      call.write(Buffer.from('open'));
      await once(call, 'data');
      return { result };
    });
    const running = await Promise.all(results);
    // A connection that carries nothing, and one that has not said what it is, hold nothing up either.
    const silent = net.connect(port, '127.0.0.1');
    silent.on('error', () => {});
    await once(silent, 'connect');
    const began = performance.now();
    command.signal('SIGTERM');
    for (const { result } of running) {
      t.match(await result, { code: 14, details: 'server is shutting down' });
    }
    t.ok(performance.now() - began > 250, 'they had their time');
    t.equal(await command.ended(), 0);
    t.match(command.stderr, /: warn: drained; 2 calls had to be ended after --drain-timeout\n$/);
  });
}

t.test(
  '--shadow gets the calls, and --compare says where its answers differ, once of each kind',
  async (t) => {
    const primary = await backend(t);
    const answered: string[] = [];
    const shadow = await GrpcBackend.start({
      '/test.Echo/Echo': (call) => {
        call.on('data', (message: Buffer) => {
          answered.push(String(message));
          call.write(Buffer.from(`${message}`.replace('different', 'diffErent')));
        });
        call.on('end', () => call.end());
      },
    });
    t.teardown(() => shadow.destroy());
    const command = start(
      t,
      ...['--listen', '127.0.0.1:0', '--primary', `127.0.0.1:${primary.port}`, '--compare'],
      ...['--shadow', `127.0.0.1:${shadow.port}`, '--shadow-percent', '100'],
    );
    const grpcClient = client(t, await portOf(command));
    t.match(command.stdout, `primary 127.0.0.1:${primary.port}, shadow 127.0.0.1:${shadow.port}`);
    for (const message of ['same', 'different', 'different', 'same', 'different']) {
      const { code, messages } = await grpcClient.call('/test.Echo/Echo', [message]);
      t.same([code, messages.map(String)], [0, [message]]);
    }
    await command.printed(
      /compare: shadow .* answers \/test.Echo\/Echo differently from the primary: message 0, at byte 4/,
    );
    command.signal('SIGTERM');
    t.equal(await command.ended(), 0);
    t.equal(answered.length, 5);
    t.match(command.stderr, /answers \/test.Echo\/Echo differently from the primary: 2 more times\n/);
  },
);

t.test('--shadow-percent 0 sends no call to the shadow, and says so', async (t) => {
  const primary = await backend(t);
  let calls = 0;
  const shadow = await GrpcBackend.start({
    '/test.Echo/Echo': (call) => {
      calls++;
      echo(call);
    },
  });
  t.teardown(() => shadow.destroy());
  const command = start(
    t,
    ...['--listen', '127.0.0.1:0', '--primary', `127.0.0.1:${primary.port}`],
    ...['--shadow', `127.0.0.1:${shadow.port}`, '--shadow-percent', '0'],
  );
  const grpcClient = client(t, await portOf(command));
  t.match(command.stdout, `shadow 127.0.0.1:${shadow.port} (0 %)`);
  for (let i = 0; i < 5; i++) t.equal((await grpcClient.call('/test.Echo/Echo', ['message'])).code, 0);
  command.signal('SIGTERM');
  t.equal(await command.ended(), 0);
  t.equal(calls, 0);
});

t.test('--load-balancing spreads calls over the addresses of a target', async (t) => {
  const backends = [await backend(t), await backend(t)];
  const target = `ipv4:${backends.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  const command = start(
    t,
    ...['--listen', '127.0.0.1:0', '--primary', target, '--load-balancing', 'least_request'],
  );
  const grpcClient = client(t, await portOf(command));
  for (let i = 0; i < 4; i++) t.equal((await grpcClient.call('/test.Echo/Echo', ['message'])).code, 0);
});
