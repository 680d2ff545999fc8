import { parseArgs } from 'node:util';
import type { Library } from './peers/peer.js';

/** What `npm run bench` can be told. */
export interface Options {
  /** Names of cases, or the beginnings of names followed by `*`. */
  readonly cases: readonly string[];
  readonly peers: readonly string[];
  readonly rounds: number;
  /** How long a round is for each peer, about. */
  readonly seconds: number;
  readonly load: 'h2load' | 'own' | undefined;
  readonly node: string;
  readonly profileDirectory: string | undefined;
  /** Other builds of this library, that take part beside this one. */
  readonly libraries: readonly Library[];
  /** Where to write the JSON, with `.svg` and `.md` beside it; undefined: a name under bench/results/. */
  readonly json: string | undefined;
  /** Writes no files. */
  readonly dry: boolean;
}

export const USAGE = `npm run bench -- [options]
  --cases NAMES     cases, by commas; a * at the end stands for anything (default: all)
  --peers NAMES     peers, in the same way (default: all that can take part)
  --rounds N        rounds (default 3)
  --seconds N       seconds of each peer in each round, about (default 0.6)
  --load NAME       h2load or own (default: h2load where it is installed and suits the case)
  --node PATH       the Node that the peers run on (default: this one)
  --profile DIR     write CPU profiles of the peers on Node there
  --library NAME=DIR  another build of this library (dist/lib of another work tree) as the peers NAME-http2 and
                      NAME-frames; can be repeated
  --json FILE       where to write the results; the chart and the table go beside it (default: bench/results/)
  --dry             write no files`;

/** @throws TypeError that says what is wrong with them */
export function parseOptions(commandLine: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...commandLine],
    options: {
      cases: { type: 'string', default: '*' },
      peers: { type: 'string', default: '*' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '0.6' },
      load: { type: 'string' },
      node: { type: 'string', default: process.execPath },
      profile: { type: 'string' },
      library: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
      dry: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { load } = values;
  if (load !== undefined && load !== 'h2load' && load !== 'own') {
    throw new TypeError(`--load must be h2load or own, not ${load}`);
  }
  return {
    cases: values.cases.split(','),
    peers: values.peers.split(','),
    rounds: positive('--rounds', values.rounds),
    seconds: positive('--seconds', values.seconds),
    load,
    node: values.node,
    profileDirectory: values.profile,
    libraries: values.library.map(library),
    json: values.json,
    dry: values.dry,
  };
}

/** Those of `all` that the patterns name. @throws TypeError for a pattern that names none */
export function selected<T extends { readonly name: string }>(
  kind: string,
  all: readonly T[],
  patterns: readonly string[],
): T[] {
  for (const pattern of patterns) {
    if (all.some(({ name }) => matches(name, pattern))) continue;
    throw new TypeError(
      `there is no ${kind} ${JSON.stringify(pattern)}; there are ${all.map(({ name }) => name).join(', ')}`,
    );
  }
  return all.filter(({ name }) => patterns.some((pattern) => matches(name, pattern)));
}

function library(text: string): Library {
  const [name, directory, ...rest] = text.split('=');
  if (!name || !directory || rest.length > 0) throw new TypeError(`--library takes NAME=DIR, not ${text}`);
  return { name, directory };
}

function matches(name: string, pattern: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function positive(option: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new TypeError(`${option} must be a number above 0, not ${text}`);
  return number;
}
