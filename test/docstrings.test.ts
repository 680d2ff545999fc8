import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import ts from 'typescript';
import { CLIENT_DEFAULTS } from '../lib/client/defaults.js';
import { ACCESS_LOG_DEFAULTS } from '../lib/observe/access-log/options.js';
import { METRICS_DEFAULTS } from '../lib/observe/metrics/defaults.js';
import { PROXY_DEFAULTS, SHADOW_DEFAULTS } from '../lib/proxy/defaults.js';
import { SERVER_DEFAULTS } from '../lib/server/defaults.js';
import { DEFAULT_DIAL_LIMITS, DEFAULT_SERVER_LIMITS } from '../lib/transport/limits.js';
import { type PublicDeclaration, publicDeclarations, sourceOf } from './support/public-declarations.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const manifest = JSON.parse(readFileSync(resolve(ROOT, 'package.json'), 'utf8')) as {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>;
  readonly files: readonly string[];
};

const entries = Object.values(manifest.exports).flatMap((entry) =>
  typeof entry === 'string'
    ? []
    : [resolve(ROOT, entry.default.replace('./dist/', '').replace(/\.js$/, '.ts'))],
);

const declarations: readonly PublicDeclaration[] = entries.flatMap((entry) => [...publicDeclarations(entry)]);

/** By the names that the reference has; overloads say it together. */
const docstrings = new Map<string, string>();
for (const { name, docstring } of declarations) {
  docstrings.set(name, `${docstrings.get(name) ?? ''} ${docstring}`.trim());
}

/** What users are given, not give: that a property may be missing says something there. */
const GIVEN_BY_THE_PACKAGE = [
  'ComparedMessage',
  'DestinationOutcome',
  'FamilyHead',
  'LoadedConfig',
  'ParsedConfig',
  'ResponseDifference',
  'ResponseVerdict',
  'Series',
  'StatusErrorJson',
];

function topOf(name: string): string {
  return name.split('.')[0]!;
}

t.test('each option says in its docstring what is so by default', async (t) => {
  const silent = declarations.filter(({ name, node, docstring }) => {
    const isLimit = /^\w+Limits$/.test(topOf(name));
    if (!ts.isPropertySignature(node) || !(node.questionToken || isLimit)) return false;
    return !GIVEN_BY_THE_PACKAGE.includes(topOf(name)) && !/\bdefaults?\b/i.test(docstring);
  });
  t.strictSame(
    silent.map(({ name }) => name),
    [],
  );
  t.ok(declarations.filter(({ node }) => ts.isPropertySignature(node) && node.questionToken).length > 60);
});

/** Defaults, and whose they are; what an interface does not declare may be its base's. */
const DEFAULTS: readonly (readonly [interfaces: readonly string[], defaults: object])[] = [
  [['ServerLimits', 'TransportLimits'], DEFAULT_SERVER_LIMITS],
  [['DialLimits', 'TransportLimits'], DEFAULT_DIAL_LIMITS],
  [['ServerOptions'], SERVER_DEFAULTS],
  [['ClientStreamOptions'], { maxReceiveMessageBytes: CLIENT_DEFAULTS.maxReceiveMessageBytes }],
  [
    ['RetryThrottling'],
    { maxTokens: CLIENT_DEFAULTS.retryMaxTokens, tokenRatio: CLIENT_DEFAULTS.retryTokenRatio },
  ],
  [['ProxyOptions'], PROXY_DEFAULTS],
  [['ShadowDestination'], SHADOW_DEFAULTS],
  [['MetricsOptions'], METRICS_DEFAULTS],
  [['WorkerMetricsOptions'], METRICS_DEFAULTS],
  [['AccessLogOptions'], ACCESS_LOG_DEFAULTS],
];

/** Of which the docstring has words, and no number. */
const IN_WORDS: Readonly<Record<string, string>> = {
  permitKeepalive: 'as often as',
  percent: 'by default all',
  transport: '`http2` (node:http2), the default',
};

/** What a docstring may say of a default. */
function wordsOf(name: string, value: unknown): string[] {
  if (IN_WORDS[name] !== undefined) return [IN_WORDS[name]];
  if (typeof value === 'object' && value !== null) return [wordsOfNumbers(value)];
  if (typeof value !== 'number') throw new TypeError(`what does a docstring say of ${name}?`);
  if (value === Infinity) return ['never', 'as many as', 'as long as', 'any age'];
  if (value === 2 ** 31 - 1) return ['2^31-1'];
  if (/Bytes/.test(name)) return [`${value / 1024 ** 2} MiB`, `${value / 1024} KiB`];
  if (/Milliseconds$/.test(name) && value < 60_000) return [`${value / 1000} s`];
  if (/Milliseconds$/.test(name))
    return [`${value / 60_000} minutes`, `milliseconds. Default ${grouped(value)}`];
  return [grouped(value)];
}

/** Of a rate, or of times of keepalive. */
function wordsOfNumbers(value: object): string {
  const { burst, perSecond, timeMilliseconds, timeoutMilliseconds } = value as Record<string, number>;
  return burst === undefined
    ? `after ${timeMilliseconds! / 1000} s, with ${timeoutMilliseconds! / 1000} s for the answer`
    : `${grouped(burst)}, and ${perSecond} a second`;
}

/** `1000`, `10 000` */
function grouped(value: number): string {
  const text = String(value);
  return text.length > 4 ? text.replaceAll(/(?<=\d)(?=(?:\d{3})+$)/g, ' ') : text;
}

/** Whether a text has one of these words, and not only as a part of a longer number or word. */
function says(text: string, words: readonly string[]): boolean {
  return words.some((word) => {
    const literally = word.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    return new RegExp(`(?<![\\w.])(?<!\\d )${literally}(?![\\w^])(?! \\d)`, 'i').test(text);
  });
}

t.test('the defaults in docstrings are those that there are', async (t) => {
  for (const [interfaces, defaults] of DEFAULTS) {
    for (const [name, value] of Object.entries(defaults)) {
      const docstring = interfaces.map((each) => docstrings.get(`${each}.${name}`)).find(Boolean);
      // Other numbers, of other servers say, stand in other sentences.
      const sentences = (docstring ?? '')
        .split(/(?<=\. )(?!Default )/)
        .filter((text) => /\bdefault\b/i.test(text));
      t.ok(says(sentences.join(''), wordsOf(name, value)), `${interfaces[0]}.${name}`, { docstring });
    }
  }
});

/** Whether a function throws by a statement of its own. */
function throwsItself(node: ts.Node): boolean {
  let throws = false;
  const look = (child: ts.Node): void => {
    if (ts.isFunctionLike(child)) return;
    if (ts.isThrowStatement(child) || isCheck(child)) throws = true;
    else if (!ts.isTryStatement(child)) ts.forEachChild(child, look);
    else if (child.catchClause !== undefined) look(child.catchClause.block);
  };
  const { body } = node as ts.FunctionLikeDeclaration;
  if (body !== undefined) ts.forEachChild(body, look);
  return throws;
}

/** What is named so throws if what it is given makes no sense. */
function isCheck(node: ts.Node): boolean {
  return ts.isCallExpression(node) && /^check(?:ed)?[A-Z]/.test(node.expression.getText());
}

t.test('each function that throws says so in its docstring', async (t) => {
  const throwing = declarations.filter(({ node }) => throwsItself(node));
  const silent = throwing.filter(
    ({ name }) => !/@throws|@returns .*\brejected\b|never (?:throws|rejects)/i.test(docstrings.get(name)!),
  );
  t.strictSame(
    silent.map(({ name }) => name),
    [],
  );
  t.ok(throwing.length > 20, `${throwing.length} throw`);
});

function* filesIn(folder: string): Iterable<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = resolve(folder, entry.name);
    if (entry.isDirectory()) yield* filesIn(path);
    else yield relative(ROOT, path);
  }
}

/** The files of this repository, those of tools aside. */
const repository = ['lib', 'test', 'bench', '.github', '.ci'].flatMap((folder) => [
  ...filesIn(resolve(ROOT, folder)),
]);

/** Whether a file is packed: what npm always packs, and what package.json lists; of `dist/lib` nothing is cited. */
function isShipped(path: string): boolean {
  if (['README.md', 'LICENSE', 'package.json'].includes(path)) return true;
  return manifest.files.some((file) => {
    const [folder, ending] = file.split('*');
    return (
      path === file || (path.startsWith(`${folder!.replace(/\/?$/, '/')}`) && path.endsWith(ending ?? ''))
    );
  });
}

/** Files that a text cites, by their paths or their names, and that are in this repository alone. */
function* citedOnlyHere(text: string): Iterable<string> {
  for (const [path] of text.matchAll(
    /(?<![\w:./-])(?:[\w.-]+\/)*[\w.-]+\.(?:ts|js|md|py|html|css|svg|proto)\b/g,
  )) {
    const found = repository.filter((file) => file === path || file.endsWith(`/${path}`));
    if (found.length > 0 && !found.some(isShipped)) yield path;
  }
  for (const [path] of text.matchAll(/(?<![\w:./-])(?:lib|bench|test|dist|\.github|\.ci)\/[\w./-]*\w/g)) {
    if (!isShipped(path) && !manifest.files.some((file) => file.startsWith(`${path}/`))) yield path;
  }
}

/** Names that modules of the library have for each other. */
function internalNames(): ReadonlySet<string> {
  const names = new Set<string>();
  for (const file of repository) {
    if (!/^lib\/.*\.ts$/.test(file)) continue;
    const text = readFileSync(resolve(ROOT, file), 'utf8');
    for (const [, name] of text.matchAll(DECLARATION)) names.add(name!);
  }
  for (const { name } of declarations) names.delete(topOf(name));
  return names;
}

const DECLARATION = /^export (?:abstract |async )*(?:class|const|enum|function|interface|type) (\w+)/gm;

/** Whether it can be told from a word, or an option, of the same letters. */
function isTelling(name: string): boolean {
  return /^[A-Z]\w*[a-z]\w*[A-Z]|^[A-Z]+_[A-Z_]+$/.test(name);
}

t.test('no docstring, and no document that is shipped, cites what is not shipped', async (t) => {
  const texts = new Map<string, string>(docstrings);
  for (const entry of entries) {
    texts.set(relative(ROOT, entry), /^\/\*\*.*?\*\//s.exec(sourceOf(entry).text)?.[0] ?? '');
  }
  for (const document of ['lib/BEHAVIOUR.md', 'lib/OPERATIONS.md']) {
    t.ok(existsSync(resolve(ROOT, document)));
    texts.set(basename(document), readFileSync(resolve(ROOT, document), 'utf8'));
  }
  const names = internalNames();
  const cited: string[] = [];
  for (const [where, text] of texts) {
    for (const path of citedOnlyHere(text)) cited.push(`${path} in ${where}`);
    for (const [, name] of text.matchAll(/(?:`|\{@link )(\w+)/g)) {
      if (isTelling(name!) && names.has(name!)) cited.push(`${name} in ${where}`);
    }
  }
  t.strictSame(cited, []);
});
