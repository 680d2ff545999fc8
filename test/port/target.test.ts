import t from 'tap';
import { parseTarget, type Target } from '../../lib/port/target.js';

const FORMS =
  'give http://HOST:PORT, https://HOST:PORT, unix:/PATH, HOST:PORT, dns:///HOST:PORT, ipv4:ADDRESS:PORT or ipv6:[ADDRESS]:PORT';

function name(host: string, port: number, authority: string, server?: string): Target {
  return { scheme: 'http', authority, at: { host, port, server } };
}

function addresses(authority: string, ...at: [host: string, port: number, authority?: string][]): Target {
  return {
    scheme: 'http',
    authority,
    at: at.map(([host, port, own = authority]) => ({
      address: { host, port },
      authority: own,
      serverName: host,
    })),
  };
}

function socket(path: string): Target {
  return {
    scheme: 'http',
    authority: 'localhost',
    at: [{ address: { path }, authority: 'localhost', serverName: 'localhost' }],
  };
}

const READ: readonly [string, Target][] = [
  ['http://backend.test:50051', name('backend.test', 50051, 'backend.test:50051')],
  ['http://backend.test', name('backend.test', 80, 'backend.test')],
  ['http://backend.test/', name('backend.test', 80, 'backend.test')],
  ['HTTP://Backend.Test:1', name('backend.test', 1, 'backend.test:1')],
  ['https://backend.test:1', { ...name('backend.test', 1, 'backend.test:1'), scheme: 'https' }],
  ['https://backend.test', { ...name('backend.test', 443, 'backend.test'), scheme: 'https' }],
  ['https://10.0.0.1:1', { ...addresses('10.0.0.1:1', ['10.0.0.1', 1]), scheme: 'https' }],
  ['http://[::1]:1', addresses('[::1]:1', ['::1', 1])],
  ['http://[::1]', addresses('[::1]', ['::1', 80])],
  ['backend.test:50051', name('backend.test', 50051, 'backend.test:50051')],
  ['back_end:1', name('back_end', 1, 'back_end:1')],
  ['10.0.0.1:65535', addresses('10.0.0.1:65535', ['10.0.0.1', 65535])],
  ['[::1]:50051', addresses('[::1]:50051', ['::1', 50051])],
  ['unix:/run/backend.sock', socket('/run/backend.sock')],
  ['unix:///run/backend.sock', socket('/run/backend.sock')],
  ['unix:backend.sock', socket('backend.sock')],
  ['dns:backend.test', name('backend.test', 443, 'backend.test')],
  ['dns:backend.test:50051', name('backend.test', 50051, 'backend.test:50051')],
  ['dns:///backend.test', name('backend.test', 443, 'backend.test')],
  ['dns:///backend.test:50051', name('backend.test', 50051, 'backend.test:50051')],
  ['dns://10.0.0.53/backend.test', name('backend.test', 443, 'backend.test', '10.0.0.53:53')],
  ['dns://10.0.0.53:5353/backend.test:1', name('backend.test', 1, 'backend.test:1', '10.0.0.53:5353')],
  ['dns://[::1]/backend.test', name('backend.test', 443, 'backend.test', '[::1]:53')],
  ['dns://[::1]:5353/backend.test', name('backend.test', 443, 'backend.test', '[::1]:5353')],
  ['dns:10.0.0.1', addresses('10.0.0.1', ['10.0.0.1', 443])],
  ['dns:///[::1]:1', addresses('[::1]:1', ['::1', 1])],
  // A host that is called so.
  ['dns:50051', name('dns', 50051, 'dns:50051')],
  ['ipv4:10.0.0.1', addresses('10.0.0.1:443', ['10.0.0.1', 443])],
  [
    'ipv4:10.0.0.1:1,10.0.0.2:2,10.0.0.3',
    addresses(
      '10.0.0.1:1',
      ['10.0.0.1', 1],
      ['10.0.0.2', 2, '10.0.0.2:2'],
      ['10.0.0.3', 443, '10.0.0.3:443'],
    ),
  ],
  ['ipv6:[::1]:1', addresses('[::1]:1', ['::1', 1])],
  ['ipv6:[::1]', addresses('[::1]:443', ['::1', 443])],
  [
    'ipv6:[::1]:1,[fe80::2%eth0]:2',
    addresses('[::1]:1', ['::1', 1], ['fe80::2%eth0', 2, '[fe80::2%eth0]:2']),
  ],
];

for (const [text, target] of READ) {
  t.test(`${text} is a target`, async (t) => t.strictSame(parseTarget(text), target));
}

const NO_ADDRESS = `is no address: ${FORMS}`;
const NO_HOST = `names no host: ${FORMS}`;
const MORE = `has more than an address: ${FORMS}`;
const NO_SCHEME = `has an unknown scheme: ${FORMS}`;

const WRONG: readonly [text: string, what: string, told?: string][] = [
  ['', NO_ADDRESS],
  ['backend.test', NO_ADDRESS],
  [':50051', NO_HOST],
  ['backend.test:', NO_ADDRESS],
  ['backend.test:65536', NO_ADDRESS],
  ['backend.test:-1', NO_ADDRESS],
  ['backend.test:0', NO_ADDRESS],
  ['backend.test:1e3', NO_ADDRESS],
  ['back end:1', NO_ADDRESS],
  ['back\0end:1', NO_ADDRESS],
  ['bäckend:1', NO_ADDRESS],
  ['backend.test:1/', NO_ADDRESS],
  ['::1:50051', NO_ADDRESS],
  ['[::1]', NO_ADDRESS],
  ['[backend.test]:1', NO_ADDRESS],
  ['[]:1', NO_HOST],
  ['user@backend.test:1', NO_ADDRESS],
  ['http://', NO_ADDRESS],
  ['http://backend.test:65536', NO_ADDRESS],
  ['http://backend.test:0', NO_ADDRESS],
  ['http://user@backend.test:1', MORE],
  ['http://user:secret@backend.test:1', MORE],
  ['http://:secret@backend.test:1', MORE],
  ['http://backend.test/path', MORE],
  ['http://backend.test/?query', MORE],
  ['http://backend.test/#hash', MORE],
  ['ftp://backend.test', NO_SCHEME],
  ['xds:///backend.test', NO_SCHEME],
  ['unix:', `has no path: ${FORMS}`],
  ['dns:', NO_HOST],
  ['dns:///', NO_HOST],
  ['dns:///:1', NO_HOST],
  ['dns:///backend.test:65536', NO_ADDRESS, 'backend.test:65536'],
  ['dns://backend.test', NO_ADDRESS, '//backend.test'],
  ['dns:///a/b', NO_ADDRESS, 'a/b'],
  ['dns://ns.test/backend.test', ': the name server must be an IP address, with or without a port'],
  ['dns://[ns]/backend.test', NO_ADDRESS, '[ns]'],
  ['dns://10.0.0.53:65536/backend.test', NO_ADDRESS, '10.0.0.53:65536'],
  ['ipv4:', NO_HOST],
  ['ipv4:10.0.0.1:1,', NO_HOST],
  ['ipv4:backend.test:1', ': "backend.test:1" is no address of that family'],
  ['ipv4:[::1]:1', ': "[::1]:1" is no address of that family'],
  ['ipv4:10.0.0.256:1', ': "10.0.0.256:1" is no address of that family'],
  ['ipv4:10.0.0.1:65536', NO_ADDRESS, '10.0.0.1:65536'],
  ['ipv6:10.0.0.1:1', ': "10.0.0.1:1" is no address of that family'],
  ['ipv4:10.0.0.1:0', NO_ADDRESS, '10.0.0.1:0'],
  ['ipv6:::1', NO_ADDRESS, '::1'],
];

for (const [text, what, told = text] of WRONG) {
  t.test(`${JSON.stringify(text)} is no target, and why is said`, async (t) => {
    const separator = what.startsWith(':') ? '' : ' ';
    t.throws(() => parseTarget(text), {
      name: 'TypeError',
      message: `${JSON.stringify(told)}${separator}${what}`,
    });
  });
}

t.test('what is no string is no target', async (t) => {
  for (const value of [undefined, null, 1, {}, ['a:1']]) {
    t.throws(() => parseTarget(value as string), {
      code: 'ERR_INVALID_ARG_TYPE',
      message:
        /^a target must be http:.* or ipv6:\[ADDRESS\]:PORT, not (?:undefined|null|number|object|array)$/,
    });
  }
});
