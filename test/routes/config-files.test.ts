import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkConfig, loadConfig } from '../../lib/routes/load-config.js';
import { Authority } from '../support/authority.js';
import { deferred } from '../support/deferred.js';

const authority = new Authority();
const one = authority.issue({ name: 'one' });
const other = authority.issue({ name: 'other' });

/** A folder with a config file, and others that it names. */
async function folder(t: Test, config: string | Buffer, files: Record<string, string> = {}) {
  const path = await mkdtemp(join(tmpdir(), 'config-'));
  t.teardown(() => rm(path, { recursive: true }));
  const at = (name: string): string => join(path, name);
  const write = (name: string, content: string | Buffer): Promise<void> => writeFile(at(name), content);
  for (const [name, content] of Object.entries(files)) await write(name, content);
  await write('p.yaml', config);
  return { at, write, file: at('p.yaml') };
}

const PAIRS = { 'one.crt': one.cert, 'one.key': one.key, 'other.key': other.key, 'ca.pem': authority.cert };
const ROUTES = 'routes: [{ match: {}, primary: files }]\n';

t.test('a config and the files that it names, relative to it, are loaded', async (t) => {
  const { file } = await folder(
    t,
    [
      'listen: [":1", { address: ":2", tls: { cert: one.crt, key: one.key, clientCa: ca.pem } }]',
      'backends:',
      '  files: { target: "https://a:1", tls: { ca: ./ca.pem, cert: one.crt, key: one.key } }',
      '  plain: { target: "a:1" }',
      '  system: { target: "a:1", tls: {} }',
      ROUTES,
    ].join('\n'),
    PAIRS,
  );
  const { config, tls, mistakes } = await loadConfig(file);
  t.equal(mistakes, undefined);
  t.equal(config?.backends.files?.tls?.ca, './ca.pem', 'as it was given');
  const [ca, cert, key] = [authority.cert, one.cert, one.key].map((text) => Buffer.from(text));
  t.strictSame(Object.entries(tls!.listeners), [['1', { cert, key, ca }]]);
  t.strictSame(
    [...tls!.backends],
    [
      ['files', { cert, key, ca }],
      ['system', {}],
    ],
  );
  t.strictSame(await checkConfig(file), []);
});

t.test('all that is wrong with files is told where they are named, beside all other mistakes', async (t) => {
  const { at, file } = await folder(
    t,
    [
      'listen:',
      '- { address: ":1", tls: { cert: one.crt, key: other.key } }',
      '- { address: ":2", tls: { cert: one.key, key: one.key } }',
      '- { address: ":3", tls: { cert: gone.crt, key: gone.key, clientCa: . } }',
      'backends:',
      '  files:',
      '    target: a:1',
      '    tls:',
      '      ca: empty',
      '  half: { target: "a:1", tls: { cert: gone.crt, ca: gone.pem } }',
      '  lone: { target: "a:1", tls: { key: one.key, ca: one.key } }',
      '  part: { target: "a:1", tls: { cert: one.crt, key: gone.key, ca: one.key } }',
      'workrs: 1',
      ROUTES,
    ].join('\n'),
    { ...PAIRS, empty: '' },
  );
  const told = (await checkConfig(file)).map(String);
  t.strictSame(
    told.map((line) => line.replace(`${file}:`, '')),
    [
      `2:47: listen[0].tls.key: "${at('other.key')}" does not belong to the certificate`,
      `3:33: listen[1].tls.cert: "${at('one.key')}" holds no certificate in PEM`,
      `4:33: listen[2].tls.cert: "${at('gone.crt')}" cannot be read: there is no such file`,
      `4:48: listen[2].tls.key: "${at('gone.key')}" cannot be read: there is no such file`,
      `4:68: listen[2].tls.clientCa: "${at('.')}" is no file`.replace('/."', '"'),
      `9:11: backends.files.tls.ca: "${at('empty')}" holds no certificate in PEM`,
      '10:39: backends.half.tls.cert: needs key: they belong together',
      `10:39: backends.half.tls.cert: "${at('gone.crt')}" cannot be read: there is no such file`,
      `10:53: backends.half.tls.ca: "${at('gone.pem')}" cannot be read: there is no such file`,
      '11:38: backends.lone.tls.key: needs cert: they belong together',
      `11:51: backends.lone.tls.ca: "${at('one.key')}" holds no certificate in PEM`,
      `12:53: backends.part.tls.key: "${at('gone.key')}" cannot be read: there is no such file`,
      `12:67: backends.part.tls.ca: "${at('one.key')}" holds no certificate in PEM`,
      '13:1: workrs: is no key here (did you mean "workers"?)',
    ],
  );
});

t.test('a config that cannot be read', async (t) => {
  const { at, write, file } = await folder(t, Buffer.from([0xff, 0xfe, 0x00]));
  t.strictSame((await checkConfig(file)).map(String), [`${file}: is no text in UTF-8`]);
  await write('p.yaml', Buffer.alloc(5 * 1024 * 1024, '#'));
  t.strictSame((await checkConfig(file)).map(String), [`${file}: is larger than 4194304 bytes`]);
  t.strictSame((await checkConfig(at('none'))).map(String), [
    `${at('none')}: cannot be read: there is no such file`,
  ]);
  t.strictSame((await checkConfig(at('.'))).map(String), [`${at('.')}: is no file`]);
});

t.test('files that change are told to who uses them, unless they are of no use', async (t) => {
  const { at, write, file } = await folder(
    t,
    `listen: { address: ":1", tls: { cert: l.crt, key: l.key } }\nbackends: { files: { target: "a:1", tls: { ca: ca.pem } } }\n${ROUTES}`,
    { 'l.crt': one.cert, 'l.key': one.key, 'ca.pem': authority.cert },
  );
  const { tls } = await loadConfig(file);
  const lines: [line: string, result: string][] = [];
  let isTold = deferred();
  const [listeners, backends]: [unknown[], unknown[]] = [[], []];
  tls!.watch({
    onListener: (...told) => listeners.push(told),
    onBackend: (...told) => backends.push(told),
    log: (line, result) => {
      lines.push([line, result]);
      isTold.resolve();
    },
  });
  t.teardown(() => tls!.stop());
  // Watching keeps no process alive.
  const timer = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(timer));
  await write('l.crt', other.cert);
  await isTold.promise;
  t.strictSame(lines.splice(0), [
    [
      `${file}:1:51: listen.tls.key: "${at('l.key')}" does not belong to the certificate; what was read before stays in use`,
      'failed',
    ],
  ]);
  isTold = deferred();
  await write('l.key', other.key);
  await isTold.promise;
  t.strictSame(lines.splice(0), [
    [
      `changed, and used from the next TLS handshake on: ${file}:1:39: listen.tls.cert "${at('l.crt')}", ${file}:1:51: listen.tls.key "${at('l.key')}"`,
      'ok',
    ],
  ]);
  t.strictSame(listeners, [[0, { cert: Buffer.from(other.cert), key: Buffer.from(other.key) }]]);
  isTold = deferred();
  const renewed = new Authority('renewed').cert;
  await write('ca.pem', renewed);
  await isTold.promise;
  t.strictSame(backends, [['files', { ca: Buffer.from(renewed) }]]);
});
