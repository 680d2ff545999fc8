import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

/** What a user can call on each class, and on what a handler is given. */
const MEMBERS: Record<string, readonly [file: string, members: readonly string[]]> = {
  Server: [
    'server/server',
    [
      'constructor',
      'register',
      'observe',
      'get runningCalls',
      'get closing',
      'listen',
      'attach',
      'setSecureContext',
      'close',
      '[Symbol.asyncDispose]',
      'destroy',
      'toJSON',
    ],
  ],
  ServerStream: [
    'server/server-stream',
    [
      'context',
      'method',
      'deadline',
      'inputEnded',
      'headersSent',
      'cancelled',
      'peek',
      '[Symbol.asyncIterator]',
      'sendHeader',
      'sendMessage',
      'setHeader',
      'setTrailer',
    ],
  ],
  ClientConn: [
    'client/client-conn',
    [
      'target',
      'authority',
      'private constructor',
      'get scheme',
      'get state',
      'get addresses',
      'get counts',
      'connect',
      'waitForStateChange',
      'setSecureContext',
      'call',
      'close',
      '[Symbol.asyncDispose]',
      'toJSON',
      'destroy',
    ],
  ],
  ClientStream: [
    'client/client-stream',
    [
      'method',
      'headers',
      'status',
      'send',
      'end',
      '[Symbol.asyncIterator]',
      'cancel',
      '[Symbol.asyncDispose]',
    ],
  ],
  CallContext: [
    'call/context',
    [
      'method',
      'headers',
      'socket',
      'deadline',
      'private constructor',
      'get metadata',
      'get authority',
      'get peer',
      'get peerCertificate',
      'get signal',
      'withMetadata',
      'withMethod',
      'withDeadline',
      'withTimeout',
      'withSignal',
      'value',
      'withValue',
      'toJSON',
    ],
  ],
  ContextKey: ['call/context-key', ['name', 'protected readonly typed', 'constructor']],
  StatusError: [
    'grpc/status',
    [
      'code',
      'constructor',
      'get name',
      'get trailers',
      'static from',
      'static fromTrailers',
      'toTrailers',
      'toJSON',
    ],
  ],
};

const LIB = new URL('../lib/', import.meta.url);

function declarations(file: string): string {
  return readFileSync(new URL(`${file}.d.ts`, LIB), 'utf8');
}

/** The names of the members that a class or interface declares, but for `#private`. */
function membersOf(name: string, file: string): string[] {
  const text = declarations(file).replace(/\/\*[\s\S]*?\*\//g, '');
  const body = new RegExp(`export (?:declare class|interface) ${name}\\b[^{]*\\{\\n([\\s\\S]*?)\\n\\}`).exec(
    text,
  );
  const members = body?.[1]?.matchAll(/^ {4}(?:readonly )?([\w .[\]]*?\w\]?)(?:\?|<[^(]*>)?[(:;]/gm) ?? [];
  return [...new Set([...members].map((match) => match[1]!))];
}

for (const [name, [file, members]] of Object.entries(MEMBERS)) {
  t.test(`the types of ${name} show what a user can use, and nothing else`, async (t) => {
    t.strictSame(membersOf(name, file), members);
  });
}

t.test('no public type leads to the machinery', async (t) => {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, path] of declarations(file).matchAll(/from '(\.[^']*)\.js'/g)) {
      visit(new URL(path!, new URL(file, LIB)).href.slice(LIB.href.length));
    }
  };
  visit('index');
  const machinery = [...seen].filter((file) =>
    /server-call|request-consumer|channel\/(?!connectivity|load-balancing)|client-call|proxy-call|destination-stream|transport\/(?!transport-name|limits|http2\/node-types)/.test(
      file,
    ),
  );
  t.strictSame(machinery, []);
});

t.test('no public type names what is internal', async (t) => {
  for (const file of ['index', ...Object.values(MEMBERS).map(([file]) => file)]) {
    t.notMatch(declarations(file), /@internal/, file);
  }
});

t.test('who checks the types of libraries, too, finds no mistake in those of this one', async (t) => {
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    exports: Record<string, { readonly types: string } | string>;
  };
  const entries = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [] : [entry.types]));
  // Not bin/tsc: the hooks that tap puts into child processes know no module without an ending.
  const compiler = fileURLToPath(
    import.meta.resolve('typescript/package.json').replace('package.json', 'lib/tsc.js'),
  );
  const options = [
    '--ignoreConfig',
    '--noEmit',
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--types',
    'node',
  ];
  const { stdout, stderr, status } = spawnSync(process.execPath, [compiler, ...options, ...entries], {
    encoding: 'utf8',
  });
  t.equal(status, 0, `${stdout}${stderr}`);
});
