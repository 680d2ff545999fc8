import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import {
  type AddressInUse,
  type DialAddress,
  dial,
  type ListenAddress,
  Server,
  type TcpAddress,
  type UnixAddress,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { freePort } from '../support/free-port.js';
import { untyped } from '../support/hostile-values.js';

const METHOD = '/test.Local/Call';

function server(t: Test, world: World): Server {
  const server = new Server({
    transport: world.transports.server,
    unknownServiceHandler: async (stream) => {
      for await (const message of stream) await stream.sendMessage(message);
    },
  });
  t.teardown(() => server.destroy());
  return server;
}

/** What comes back of a message. */
async function echoed(world: World, target: Parameters<typeof dial>[0]): Promise<string> {
  await using conn = dial(target, { transport: world.transports.client });
  const call = conn.call(METHOD);
  await call.send(Buffer.from('hello'));
  call.end();
  let text = '';
  for await (const message of call) text += message;
  return text;
}

behaviour('what listen() gives, dial() takes', async (t, world) => {
  const listening = server(t, world);
  const folder = mkdtempSync(path.join(tmpdir(), 'address-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const tcp = await listening.listen('127.0.0.1:0');
  const unix = await listening.listen(`unix:${folder}/socket`);
  t.match(tcp, { host: '127.0.0.1', port: Number });
  t.strictSame(unix, { path: `${folder}/socket` });
  for (const target of [tcp, unix, new URL(`http://127.0.0.1:${tcp.port}`), [tcp, unix]]) {
    t.equal(await echoed(world, target), 'hello');
  }
});

behaviour('a server listens at a port, at every interface, by number or object', async (t, world) => {
  const listening = server(t, world);
  const port = await freePort();
  const byNumber = await listening.listen(port);
  t.strictSame(byNumber, { host: '::', port });
  t.equal(await echoed(world, { host: '127.0.0.1', port }), 'hello');
  const byObject = await listening.listen({ port: 0 });
  t.equal(byObject.host, '::');
  const local = await listening.listen({ host: '127.0.0.1', port: 0 });
  t.equal(await echoed(world, local), 'hello');
});

t.test('what is no address to listen at is told, and what one looks like', async (t) => {
  const nowhere = new Server();
  const forms = ': HOST:PORT, :PORT or unix:/PATH, a port, { host, port } or { path }';
  const bad: readonly (readonly [address: unknown, message: string | RegExp])[] = [
    [undefined, `what is listened at must be an address${forms}, not undefined`],
    [null, `what is listened at must be an address${forms}, not null`],
    [true, `what is listened at must be an address${forms}, not boolean`],
    [-1, `-1 is no port: give an address${forms}`],
    [65536, /^65536 is no port/],
    [1.5, /^1.5 is no port/],
    [Number.NaN, /^NaN is no port/],
    [{}, "an address's port must be a number, not undefined"],
    [[], 'address must be an object, not array'],
    [{ port: '80' }, "an address's port must be a number, not string"],
    [{ port: 65536 }, /^65536 is no port/],
    [{ port: 1, host: 5 }, "an address's host must be a string, not number"],
    [{ path: '' }, /^"" is no path: give/],
    [{ path: 5 }, /^5 is no path: give/],
    [{ path: '/a', port: 1 }, /^both a path and a port: give/],
    [{ path: '/a', host: 'a' }, /^both a path and a port: give/],
    [{ port: 1, hostname: 'a' }, 'there is no option address.hostname: there are host, port, path'],
    [{ port: 1, fd: 1 }, /^there is no option address.fd/],
  ];
  for (const [address, message] of bad) {
    await t.rejects(nowhere.listen(untyped<number>(address)), { message, code: /^ERR_/ }, String(address));
  }
});

t.test('what is no target is told, and what one looks like', async (t) => {
  const bad: readonly (readonly [target: unknown, message: RegExp])[] = [
    [undefined, /^a target must be http:\/\/HOST:PORT, .*, as text, or a URL, .*, not undefined$/],
    [8080, /^a target must be .*, not number$/],
    [{}, /^an address's port must be a number, not undefined$/],
    [{ port: 1 }, /^":1" names no host: give http/],
    [{ host: 'a', port: 0 }, /^"a:0" is no address/],
    [{ host: 'a b', port: 1 }, /^"a b:1" is no address/],
    [new URL('ftp://a:1'), /^"ftp:\/\/a:1" has an unknown scheme/],
    [new URL('http://user@a:1'), /^"http:\/\/user@a:1" has more than an address/],
    [new URL('http://a:1/path'), /^"http:\/\/a:1\/path" has more than an address/],
    [[], /^a backend needs a target: the list is empty$/],
    [[undefined], /^a target must be/],
    [['a:1', 5], /^a target must be/],
    [[['a:1']], /^address must be an object, not array$/],
  ];
  for (const [target, message] of bad) {
    t.throws(() => dial(untyped(target)), { message, code: /^ERR_/ }, String(target));
  }
  t.equal(dial(new URL('https://a.test:50051')).target, 'https://a.test:50051');
  t.equal(dial(new URL('dns:///a.test:50051')).target, 'dns:///a.test:50051');
  t.equal(dial({ host: '::1', port: 1 }).target, '[::1]:1');
  t.equal(dial({ path: '/a' }).target, 'unix:/a');
});

/** Whether two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only where it is told what is true. */
function holds<Fact extends true>(fact: Fact): true {
  return fact;
}

t.test('an address in use has the type that it was asked for by', async (t) => {
  const facts = [
    holds<Same<AddressInUse<'127.0.0.1:0'>, TcpAddress>>(true),
    holds<Same<AddressInUse<':8080'>, TcpAddress>>(true),
    holds<Same<AddressInUse<'[::1]:0'>, TcpAddress>>(true),
    holds<Same<AddressInUse<`127.0.0.1:${number}`>, TcpAddress>>(true),
    holds<Same<AddressInUse<`${'a' | 'b'}:1`>, TcpAddress>>(true),
    holds<Same<AddressInUse<8080>, TcpAddress>>(true),
    holds<Same<AddressInUse<number>, TcpAddress>>(true),
    holds<Same<AddressInUse<{ port: number }>, TcpAddress>>(true),
    holds<Same<AddressInUse<{ host: string; port: number }>, TcpAddress>>(true),
    holds<Same<AddressInUse<'unix:/a'>, UnixAddress>>(true),
    holds<Same<AddressInUse<`unix:${string}`>, UnixAddress>>(true),
    holds<Same<AddressInUse<{ path: string }>, UnixAddress>>(true),
    holds<Same<AddressInUse<string>, DialAddress>>(true),
    holds<Same<AddressInUse<`${string}:0`>, DialAddress>>(true),
    holds<Same<AddressInUse<`u${string}:0`>, DialAddress>>(true),
    holds<Same<AddressInUse<'unix:/a' | ':0'>, DialAddress>>(true),
    holds<Same<AddressInUse<ListenAddress>, DialAddress>>(true),
    holds<Same<AddressInUse<string | number>, DialAddress>>(true),
  ];
  t.equal(facts.length, 18);
});
