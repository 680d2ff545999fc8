import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls, { type TLSSocket } from 'node:tls';
import t from 'tap';
import { DEFAULT_DIAL_LIMITS } from '../../../lib/transport/limits.js';
import { cert, key } from '../../support/certificate.js';
import { freePort } from '../../support/free-port.js';
import { TLS, type Wire } from '../../support/wire.js';
import { call, dial, dialer, frameBackend, Owner, rawServer } from './fixtures.js';

const TLS_WITHOUT_ALPN: Wire = {
  ...TLS,
  createServer: (options, onSocket) => tls.createServer({ ...options, key, cert }, onSocket),
};

t.test('failures to connect say which', async (t) => {
  const closed = await rawServer(t, (socket) => socket.end());
  const http1 = await rawServer(t, (socket) => {
    socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'));
  });
  const silent = await rawServer(t);
  const secure = await rawServer(t, () => {}, TLS);
  const noAlpn = await rawServer(t, () => {}, TLS_WITHOUT_ALPN);
  const cases: [string, number, Parameters<typeof dial>[1], object][] = [
    ['refused', await freePort(), {}, { cause: 'connect', text: 'connection refused' }],
    ['FIN before SETTINGS', closed, {}, { cause: 'settings' }],
    [
      'HTTP/1',
      http1,
      { limits: { ...DEFAULT_DIAL_LIMITS, connectTimeoutMilliseconds: 2000 } },
      { cause: 'settings' },
    ],
    [
      'nothing',
      silent,
      { limits: { ...DEFAULT_DIAL_LIMITS, connectTimeoutMilliseconds: 100 } },
      { cause: 'settings', text: /^no HTTP\/2 SETTINGS within 100 ms/ },
    ],
    [
      'no socket',
      0,
      { address: { path: join(mkdtempSync(join(tmpdir(), 'http2-')), 'none') } },
      { cause: 'connect', text: 'there is no such socket' },
    ],
    ['unknown authority', secure, { tls: {} }, { cause: 'tls', text: 'TLS: the certificate is self-signed' }],
    [
      'another name',
      secure,
      { tls: { ...TLS.dialOptions.tls, servername: 'other.test' } },
      { cause: 'tls', text: /^TLS: the certificate is for another name: not for "other.test"/ },
    ],
    ['no TLS there', closed, TLS.dialOptions, { cause: /^(connect|tls)$/ }],
    ['no ALPN', noAlpn, TLS.dialOptions, { cause: 'tls', text: /did not choose "h2"/ }],
    [
      'TLS that is silent',
      silent,
      { ...TLS.dialOptions, limits: { ...DEFAULT_DIAL_LIMITS, connectTimeoutMilliseconds: 100 } },
      { cause: 'settings' },
    ],
  ];
  for (const [name, port, options, expected] of cases) {
    const { owner, connection } = dial(port, options);
    t.strictSame(owner.told, [], `${name}: not told from inside dial`);
    t.match(await owner.end(), expected, name);
    t.strictSame(owner.told, ['ended'], name);
    t.equal(connection.hasRoom, false);
  }
});

t.test('it can be destroyed, and shut down, at any time before it is ready', async (t) => {
  const port = await frameBackend(t);
  for (const end of ['destroy', 'shutDown'] as const) {
    const { owner, connection } = dial(port);
    call(() => connection[end]());
    t.strictSame(owner.told, []);
    t.match(await owner.end(), { cause: 'local' });
    call(() => connection[end]());
    t.strictSame(owner.told, ['ended']);
    const secure = dial(port, TLS.dialOptions);
    await new Promise((resolve) => setImmediate(resolve));
    call(() => secure.connection[end]());
    t.match(await secure.owner.end(), { cause: 'local' });
  }
});

t.test('TLS sessions are resumed from one connection to the next', async (t) => {
  const resumed: boolean[] = [];
  const port = await frameBackend(
    t,
    (backend) => {
      resumed.push((backend.socket as TLSSocket).isSessionReused());
    },
    [],
    TLS,
  );
  const oneDialer = dialer(port, TLS.dialOptions);
  for (let i = 0; i < 3; i++) {
    const owner = new Owner();
    const connection = oneDialer.dial(owner);
    await owner.is('ready');
    connection.shutDown();
    await owner.end();
  }
  t.strictSame(resumed, [false, true, true]);
});
