import { parseArgs } from 'node:util';
import type { Model } from './model.js';
import { MODELS } from './models.js';
import { SETTINGS, type Setting } from './setting.js';

export const USAGE = `npm run fuzz -- [options]

  --minutes N       how long; default 1
  --runs N          how many runs at most; default: as many as there is time for
  --seed S          of the first run, the next ones have those behind it; default: a random one
  --model NAME      only this, can be repeated: ${MODELS.map(({ name }) => name).join(', ')}
  --transport PAIR  only this, can be repeated: ${SETTINGS.map(({ name }) => name).join(', ')}
  --keep-going      goes on after a failure, and tells of all
  --report FILE     writes what was run and found as Markdown
`;

/** What is to be run. */
export interface Options {
  readonly minutes: number;
  readonly runs: number;
  readonly seed: number;
  readonly models: readonly Model[];
  readonly settings: readonly Setting[];
  readonly keepGoing: boolean;
  readonly report: string | undefined;
}

/**
 * @returns undefined if help is asked for
 * @throws TypeError for what can't be understood
 */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '1' },
      runs: { type: 'string' },
      seed: { type: 'string' },
      model: { type: 'string', multiple: true },
      transport: { type: 'string', multiple: true },
      'keep-going': { type: 'boolean', default: false },
      report: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    minutes: number('minutes', values.minutes),
    runs: values.runs === undefined ? Number.POSITIVE_INFINITY : number('runs', values.runs),
    seed: values.seed === undefined ? Math.trunc(Math.random() * 2 ** 31) : number('seed', values.seed),
    models: chosen('model', MODELS, values.model),
    settings: chosen('transport', SETTINGS, values.transport),
    keepGoing: values['keep-going'],
    report: values.report,
  };
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (text === '' || !Number.isFinite(value) || value < 0) {
    throw new TypeError(`--${name} must be a number, not ${JSON.stringify(text)}`);
  }
  return value;
}

function chosen<T extends { readonly name: string }>(
  option: string,
  all: readonly T[],
  names: readonly string[] | undefined,
): readonly T[] {
  if (names === undefined) return all;
  return names.map((name) => {
    const found = all.find((one) => one.name === name);
    if (found === undefined) {
      throw new TypeError(`--${option} is one of ${all.map((one) => one.name).join(', ')}, not ${name}`);
    }
    return found;
  });
}
