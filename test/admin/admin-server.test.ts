import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { type AdminOptions, type AdminSource, adminServer, type BackendJson } from '../../lib/admin/index.js';
import { eventually } from '../support/eventually.js';
import { within } from '../support/within.js';
import { type AskOptions, ask, closed, connected, eventsOf, sayAll } from './raw-http.js';

// Some tests wait for what takes a second.
t.jobs = 8;

const READY: AdminSource = { ready: () => ({ ready: true }) };

/** An endpoint on a free port that has its answers from this. */
async function endpoint(
  t: Test,
  source: Partial<AdminSource> = {},
  options: AdminOptions = {},
): Promise<string> {
  const admin = adminServer({ ...READY, ...source }, options);
  t.teardown(() => admin.close());
  return admin.start();
}

/** Resolves with the process warning that says this. */
function warning(t: Test, text: string): Promise<void> {
  return new Promise((resolve) => {
    const onWarning = ({ message }: Error): void => {
      if (message === text) resolve();
    };
    process.on('warning', onWarning);
    t.teardown(() => process.off('warning', onWarning));
  });
}

async function statusOf(url: string, path: string, options?: AskOptions): Promise<number> {
  return (await ask(url, path, options)).status;
}

t.test('`await using` closes it at the end of the block', async (t) => {
  let url: string;
  {
    await using admin = adminServer(READY);
    url = await admin.start();
    t.equal(await statusOf(url, '/livez'), 200);
  }
  await t.rejects(statusOf(url, '/livez'), { code: 'ECONNREFUSED' });
});

t.test('it listens at a free port of the loopback interface by default, and tells its URL', async (t) => {
  t.match(await endpoint(t), /^http:\/\/127\.0\.0\.1:\d+\/$/);
  t.match(await endpoint(t, {}, { address: '[::1]:0' }), /^http:\/\/\[::1\]:\d+\/$/);
});

t.test('an address in use is an error, and so is what is no address', async (t) => {
  const url = await endpoint(t);
  const address = `127.0.0.1:${new URL(url).port}`;
  await t.rejects(adminServer(READY, { address }).start(), { code: 'EADDRINUSE' });
  t.throws(() => adminServer(READY, { address: 'nowhere' }), TypeError);
  t.throws(() => adminServer(READY, { hosts: ['a b'] }), TypeError);
  t.throws(() => adminServer(READY, { hosts: ['name:80'] }), TypeError);
});

t.test('/livez and /healthz are ok whatever else is not', async (t) => {
  const url = await endpoint(t, { ready: () => ({ ready: false, reason: 'draining' }) });
  for (const path of ['/livez', '/healthz']) {
    const { status, body } = await ask(url, path);
    t.strictSame([status, body.trim()], [200, 'ok'], path);
  }
});

t.test('/readyz says whether it is ready, and why not', async (t) => {
  let readiness: Awaited<ReturnType<AdminSource['ready']>> = { ready: true };
  const url = await endpoint(t, { ready: async () => readiness });
  t.equal(await statusOf(url, '/readyz'), 200);
  readiness = { ready: false, reason: 'draining' };
  const { status, body } = await ask(url, '/readyz');
  t.strictSame([status, body.trim()], [503, 'draining']);
});

t.test('/metrics is what the source makes of Accept', async (t) => {
  const url = await endpoint(t, {
    metrics: async (accept) => ({ contentType: 'text/plain; version=1', body: `for ${accept}\n` }),
  });
  const { status, headers, body } = await ask(url, '/metrics', { headers: { accept: 'application/x' } });
  t.strictSame(
    [status, headers['content-type'], body],
    [200, 'text/plain; version=1', 'for application/x\n'],
  );
  t.equal((await ask(url, '/metrics')).body, 'for undefined\n');
});

t.test('/backends, /calls and /config are JSON', async (t) => {
  const url = await endpoint(t, {
    backends: () => [],
    calls: async () => [],
    config: () => ({ routes: [] }),
  });
  for (const [path, text] of [
    ['/backends', '[]'],
    ['/calls', '[]'],
    ['/config', '{"routes":[]}'],
  ] as const) {
    const { status, headers, body } = await ask(url, path);
    t.strictSame(
      [status, headers['content-type'], body.trim()],
      [200, 'application/json; charset=utf-8', text],
    );
  }
});

t.test('nothing in JSON commands a terminal, or hides', async (t) => {
  const hostile = 'a\u001b[2J\u009b31m\u007f\u202e\u2028\u{e0041}z';
  const url = await endpoint(t, { config: () => hostile });
  const { body } = await ask(url, '/config');
  t.match(body, /^[\x20-\x7e]+\n$/);
  t.equal(JSON.parse(body), hostile);
});

t.test('what the source does not have is not found, or not possible', async (t) => {
  const url = await endpoint(t);
  for (const path of [
    '/metrics',
    '/backends',
    '/calls',
    '/config',
    '/nowhere',
    '/page',
    '/../package.json',
    '//',
  ]) {
    t.equal(await statusOf(url, path), 404, path);
  }
  for (const path of ['/drain', '/reload', '/restart']) {
    t.equal(await statusOf(url, path, { method: 'POST' }), 409, path);
  }
});

t.test('a query is no part of a path', async (t) => {
  t.equal(await statusOf(await endpoint(t), '/livez?verbose'), 200);
});

t.test('POST drains, reloads and restarts; nobody waits for the end of a drain', async (t) => {
  const done: string[] = [];
  const never = new Promise<never>(() => {});
  const url = await endpoint(t, {
    drain: () => {
      done.push('drain');
      return never;
    },
    restart: () => {
      done.push('restart');
      return never;
    },
    reload: async () => {
      done.push('reload');
      return { mistakes: [] };
    },
  });
  for (const path of ['/drain', '/reload', '/restart']) {
    t.equal(await statusOf(url, path, { method: 'POST', headers: { 'content-length': 0 } }), 202, path);
  }
  t.strictSame(done, ['drain', 'reload', 'restart']);
});

t.test('/reload tells what is wrong with the config', async (t) => {
  const mistakes = [{ file: 'a.yaml', line: 3, column: 5, path: 'routes[0].primary', message: 'no backend' }];
  const url = await endpoint(t, { reload: async () => ({ mistakes }) });
  const { status, headers, body } = await ask(url, '/reload', { method: 'POST' });
  t.equal(status, 422);
  t.equal(headers['content-type'], 'application/json; charset=utf-8');
  t.strictSame(JSON.parse(body), { mistakes });
});

t.test('only POST changes anything, and only GET and HEAD read', async (t) => {
  let changes = 0;
  const change = () => {
    changes++;
    return { mistakes: [] };
  };
  const url = await endpoint(t, { drain: change, reload: change, restart: change, backends: () => [] });
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    for (const path of ['/drain', '/reload', '/restart']) {
      const { status, headers } = await ask(url, path, { method });
      t.strictSame([status, headers.allow], [405, 'POST'], `${method} ${path}`);
    }
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']) {
    for (const path of ['/', '/livez', '/readyz', '/backends', '/events', '/page.js']) {
      const { status, headers } = await ask(url, path, { method });
      t.strictSame([status, headers.allow], [405, 'GET, HEAD'], `${method} ${path}`);
    }
  }
  t.equal(changes, 0);
  const { status, headers, body } = await ask(url, '/backends', { method: 'HEAD' });
  t.strictSame([status, headers['content-length'], body], [200, '3', '']);
  t.equal(await statusOf(url, '/events', { method: 'HEAD' }), 200);
});

t.test(
  'own Hosts are IP addresses, localhost and those that are named, with or without a port',
  async (t) => {
    const url = await endpoint(t, {}, { hosts: ['Proxy.Internal'] });
    const own = ['127.0.0.1', '10.1.2.3:80', '[::1]', '[fe80::1]:9901', 'localhost', 'LocalHost:1'];
    for (const host of [...own, 'proxy.internal', 'PROXY.internal:9901']) {
      t.equal(await statusOf(url, '/livez', { headers: { host } }), 200, host);
    }
    const foreign = [
      'evil.example',
      'localhost.evil.example',
      'proxy.internal.evil.example',
      'a.proxy.internal',
      '127.0.0.1.evil.example',
      'localhost.',
      'localhost:80:80',
      'localhost:port',
      'evil.example@localhost',
      '[evil.example]',
      '[127.0.0.1]',
      '[::1].evil.example',
      '::1',
      '0x7f.1',
      '2130706433',
    ];
    for (const host of foreign) {
      t.equal(await statusOf(url, '/livez', { headers: { host } }), 403, host);
      t.equal(await statusOf(url, '/nowhere', { headers: { host } }), 403, `${host}, before anything else`);
    }
  },
);

t.test('who asks as proxies are asked is answered, and his target says of whom he asks', async (t) => {
  const url = await endpoint(t);
  const { host } = new URL(url);
  const asked = async (target: string, headers: object = { host: 'evil.example' }) => {
    const { status, body } = await ask(url, target, { headers: { ...headers } });
    return `${status} ${body.trim()}`;
  };
  t.equal(await asked(`http://${host}/livez`), '200 ok');
  t.equal(await asked('HTTP://localhost/livez?full#now'), '200 ok');
  t.match(await asked('http://localhost'), /^200 <!doctype html>/i);
  t.match(await asked('http://localhost?/livez'), /^200 <!doctype html>/i);
  t.equal(await asked('http://localhost/livez', { host, origin: 'http://localhost' }), '200 ok');
  const foreign = ['evil.example', 'localhost@evil.example', 'evil.example@localhost', 'localhost:', ''];
  for (const one of foreign) t.match(await asked(`http://${one}/livez`, { host }), /^403 .*Host/, one);
  t.match(await asked('http://localhost/livez', { host, origin: `http://${host}` }), /^403 .*Origin/);
  t.match(await asked('https://localhost/livez', { host }), /^404 /);
});

t.test('none, or two Hosts, are none of its own', async (t) => {
  const url = await endpoint(t);
  const said = (head: string) => sayAll(url, `GET /livez ${head}\r\nConnection: close\r\n\r\n`);
  t.match(await said('HTTP/1.1\r\nHost: localhost'), /^HTTP\/1\.1 200 /);
  t.match(await said('HTTP/1.0'), /^HTTP\/1\.1 403 /);
  t.match(await said('HTTP/1.1'), /^HTTP\/1\.1 400 /);
  t.match(await said('HTTP/1.1\r\nHost:'), /^HTTP\/1\.1 40[03] /);
  t.match(await said('HTTP/1.1\r\nHost: localhost\r\nHost: evil.example'), /^HTTP\/1\.1 40[03] /);
  t.match(await said('HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil.example'), /^HTTP\/1\.1 200 /);
});

t.test("an Origin that is not the request's own is refused, whatever is asked", async (t) => {
  let drains = 0;
  const url = await endpoint(t, { drain: () => drains++ });
  const host = new URL(url).host;
  const ours = { host, origin: `http://${host}` };
  t.equal(await statusOf(url, '/livez', { headers: ours }), 200);
  t.equal(await statusOf(url, '/drain', { method: 'POST', headers: ours }), 202);
  t.equal(drains, 1);
  const foreign = ['null', 'http://evil.example', `https://${host}`, 'http://localhost', `http://${host}/`];
  for (const origin of foreign) {
    for (const [method, path] of [
      ['POST', '/drain'],
      ['GET', '/events'],
      ['GET', '/livez'],
    ] as const) {
      const { status, headers } = await ask(url, path, { method, headers: { host, origin } });
      t.equal(status, 403, `${method} ${path} by ${origin}`);
      t.notOk(headers['access-control-allow-origin']);
    }
  }
  const two = `POST /drain HTTP/1.1\r\nHost: ${host}\r\nOrigin: http://${host}\r\nOrigin: null\r\nConnection: close\r\n\r\n`;
  t.match(await sayAll(url, two), /^HTTP\/1\.1 403 /);
  t.equal(drains, 1);
});

t.test('no answer allows another origin anything, or may be stored, sniffed or framed', async (t) => {
  const url = await endpoint(t);
  for (const [method, path] of [
    ['GET', '/'],
    ['GET', '/page.js'],
    ['GET', '/readyz'],
    ['GET', '/nowhere'],
    ['OPTIONS', '/drain'],
    ['HEAD', '/events'],
  ] as const) {
    const { headers } = await ask(url, path, { method });
    t.match(
      headers,
      {
        'cache-control': 'no-store',
        'content-security-policy': /^default-src 'none';.*frame-ancestors 'none'$/,
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      },
      `${method} ${path}`,
    );
    t.notOk(Object.keys(headers).some((name) => name.startsWith('access-control-')));
  }
});

t.test('what a source throws is 500, a warning, and no word of it to the client', async (t) => {
  const warned = warning(t, 'the secret place');
  const url = await endpoint(t, {
    backends: () => {
      throw new Error('the secret place');
    },
    calls: () => Promise.reject(new Error('the secret place')),
  });
  for (const path of ['/backends', '/calls']) {
    const { status, body } = await ask(url, path);
    t.equal(status, 500);
    t.notMatch(body, 'secret');
  }
  await within(15_000, 'the warning', warned);
  t.equal(await statusOf(url, '/livez'), 200);
});

t.test('a drain that fails later is a warning', async (t) => {
  const warned = warning(t, 'it does not end');
  const url = await endpoint(t, { drain: () => Promise.reject(new Error('it does not end')) });
  t.equal(await statusOf(url, '/drain', { method: 'POST' }), 202);
  await within(15_000, 'the warning', warned);
});

t.test('bodies are ignored, however long', async (t) => {
  let drains = 0;
  const url = await endpoint(t, { drain: () => drains++ });
  const { status } = await ask(url, '/drain', { method: 'POST', body: 'x'.repeat(1000) });
  t.equal(status, 202);
  const endless = await connected(url);
  endless.write('POST /drain HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n');
  endless.resume();
  const timer = setInterval(() => endless.write(`4000\r\n${'x'.repeat(0x4000)}\r\n`), 1);
  t.teardown(() => clearInterval(timer));
  await within(15_000, 'the end of an endless request', closed(endless));
  t.equal(drains, 2);
});

t.test('who asks for the next answer before he has this one is cut off', async (t) => {
  let asked = 0;
  const url = await endpoint(t, {
    metrics: async () => {
      asked++;
      await pause(20);
      return { contentType: 'text/plain', body: 'x' };
    },
  });
  await sayAll(url, 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(1000));
  t.equal(asked, 1);
  // One after the other is fine.
  const socket = await connected(url);
  for (let i = 0; i < 3; i++) {
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const [answer] = await once(socket, 'data');
    t.match(String(answer), /^HTTP\/1\.1 200 /);
  }
  socket.destroy();
});

t.test('headers that are too long are refused', async (t) => {
  const url = await endpoint(t);
  const text = await sayAll(
    url,
    `GET /livez HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
  );
  t.match(text, /^HTTP\/1\.1 431 /);
});

t.test('there are at most so many connections', async (t) => {
  const url = await endpoint(t);
  const sockets = await Promise.all(Array.from({ length: 256 }, () => connected(url)));
  await eventually('all are there', () => sockets.every((socket) => !socket.connecting));
  const refused = await connected(url);
  await within(15_000, 'the refusal', closed(refused));
  for (const socket of sockets) socket.destroy();
  let status: number | undefined;
  for (let i = 0; i < 100 && status === undefined; i++) {
    status = await statusOf(url, '/livez').catch(() => undefined);
  }
  t.equal(status, 200, 'there is room again');
});

t.test('large answers get to who reads them, and hold so much for who does not', async (t) => {
  const body = 'x'.repeat(30 * 1024 * 1024);
  const other = 'y'.repeat(20 * 1024 * 1024);
  let answer = body;
  const url = await endpoint(t, { metrics: () => ({ contentType: 'text/plain', body: answer }) });
  t.equal((await ask(url, '/metrics')).body.length, body.length);
  const slow = await Promise.all([connected(url), connected(url)]);
  for (const socket of slow) {
    socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await once(socket, 'readable');
  }
  answer = other;
  t.equal(await statusOf(url, '/metrics'), 503, 'two of 30 MiB are waiting');
  t.equal(await statusOf(url, '/readyz'), 200, 'small ones get through');
  slow[0]!.destroy();
  let status = 503;
  for (let i = 0; i < 100 && status === 503; i++) {
    status = await statusOf(url, '/metrics');
    if (status === 503) await pause(10);
  }
  t.equal(status, 200, 'one has gone');
  slow[1]!.destroy();
});

t.test('/events tells of everything at once, and every second', { buffered: true }, async (t) => {
  let state: BackendJson['state'] = 'READY';
  const url = await endpoint(t, {
    backends: () => [
      { name: 'files', target: 'files:1', loadBalancing: 'round_robin', state, addresses: [] },
    ],
  });
  const begun = performance.now();
  const events = eventsOf(url);
  const first = (await events.next()).value;
  t.ok(performance.now() - begun < 900, 'the first at once');
  t.match(first, {
    ready: { ready: true },
    backends: [{ name: 'files', state: 'READY' }],
    paths: ['/backends'],
  });
  state = 'TRANSIENT_FAILURE';
  t.match((await events.next()).value, { backends: [{ state: 'TRANSIENT_FAILURE' }] });
  t.ok(performance.now() - begun < 2500);
  await events.return(undefined);
});

t.test(
  'all who look get the same update, which is made once; nobody looks: none is made',
  { buffered: true },
  async (t) => {
    let made = 0;
    const url = await endpoint(t, {
      calls: () => {
        made++;
        return [];
      },
    });
    const viewers = Array.from({ length: 10 }, () => eventsOf(url));
    await Promise.all(viewers.map((each) => each.next()));
    const before = made;
    await Promise.all(viewers.map((each) => each.next()));
    t.ok(made - before <= 2, `${made - before} updates for ten`);
    await Promise.all(viewers.map((each) => each.return(undefined)));
    await pause(50);
    const after = made;
    await pause(1200);
    t.equal(made, after);
  },
);

t.test('at most 64 look', async (t) => {
  const url = await endpoint(t);
  const viewers = Array.from({ length: 64 }, () => eventsOf(url));
  await Promise.all(viewers.map((each) => each.next()));
  t.equal(await statusOf(url, '/events'), 503);
  await viewers[0]!.return(undefined);
  let status = 503;
  for (let i = 0; i < 100 && status === 503; i++) {
    status = await statusOf(url, '/events', { method: 'HEAD' });
    if (status === 503) await pause(10);
  }
  t.equal(status, 200);
  await Promise.all(viewers.map((each) => each.return(undefined)));
});

t.test('who does not read updates is dropped, and holds nobody up', { buffered: true }, async (t) => {
  // Two megabytes each second, so that the system's buffers are full soon.
  const name = 'x'.repeat(100_000);
  const address = {
    address: name,
    state: 'READY',
    connections: 1,
    calls: 1,
    ejected: false,
    lastError: null,
    lastErrorAt: null,
  } as const;
  const addresses = Array.from({ length: 60 }, () => address);
  const url = await endpoint(t, {
    backends: () => [
      { name: 'files', target: 'files:1', loadBalancing: 'round_robin', state: 'READY', addresses },
    ],
  });
  const slow = await connected(url);
  slow.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const dropped = closed(slow);
  slow.pause();
  const quick = eventsOf(url);
  for (let i = 0; i < 3; i++) await quick.next();
  slow.resume();
  await within(2000, 'the end of the slow one', dropped);
  await quick.next();
  await quick.return(undefined);
});

t.test('an update that fails is a warning, once, and the next comes', { buffered: true }, async (t) => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  t.teardown(() => process.off('warning', onWarning));
  let asked = 0;
  const url = await endpoint(t, {
    calls: () => {
      asked++;
      if (asked <= 2) throw new Error('not now');
      return [];
    },
  });
  const events = eventsOf(url);
  t.match((await events.next()).value, { calls: [] });
  t.equal(warnings.filter(({ message }) => message === 'not now').length, 1);
  await events.return(undefined);
});

t.test('when it is closed, the page and idle connections are, too', async (t) => {
  const admin = adminServer(READY);
  const url = await admin.start();
  const [idle, page] = [await connected(url), eventsOf(url)];
  idle.write('GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(idle, 'data');
  await page.next();
  const ended = [closed(idle), page.next()];
  await within(500, 'closing', admin.close());
  await within(500, 'the end of connections', Promise.all(ended));
  await t.rejects(ask(url, '/livez'), { code: 'ECONNREFUSED' });
});

t.test('an answer that nobody reads does not keep it open', { buffered: true }, async () => {
  const admin = adminServer({
    ...READY,
    metrics: () => ({ contentType: 'text/plain', body: 'x'.repeat(30 * 1024 * 1024) }),
  });
  const slow = await connected(await admin.start());
  slow.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(slow, 'readable');
  await within(3000, 'closing', admin.close());
  slow.destroy();
});

t.test('it listens at a unix socket, too', async (t) => {
  // Not in tap's folder: with the checkout's path, it may be longer than a socket's path can be.
  const folder = await mkdtemp(join(tmpdir(), 'grpc-frame-proxy-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, 'admin.sock');
  const admin = adminServer(READY, { address: `unix:${path}` });
  t.equal(await admin.start(), `unix:${path}`);
  const socket = (await import('node:net')).connect(path);
  socket.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  const [answer] = await once(socket, 'data');
  t.match(String(answer), /^HTTP\/1\.1 200 /);
  await admin.close();
});
