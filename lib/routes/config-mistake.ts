import { legible } from './words.js';

const MAX_MESSAGE = 500;
const MAX_PATH = 200;

/** The keys and numbers that lead to a value. */
export type ConfigPath = readonly (string | number)[];

/** Where something stands in a file; both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A mistake in a config, before it is told. */
export interface Problem {
  readonly path: ConfigPath;
  readonly message: string;
  /** It stands at the key, not at the key's value. */
  readonly isOfKey?: boolean;
  /** Where it stands, if that is not to be found by the path. */
  readonly place?: Place;
}

/** A mistake in a config, in words. */
export class ConfigMistake {
  /** The file's name as it was given; undefined for a config that is an object. */
  readonly file: string | undefined;
  /** The line where it stands in the file, from 1; undefined for a config that is an object, or a file that cannot be read. */
  readonly line: number | undefined;
  /** The column where it stands, from 1; undefined where {@link line} is. */
  readonly column: number | undefined;
  /** The key, as `routes[2].primary`; empty for the whole. */
  readonly path: string;
  /** What is wrong, and what would be right, on one line. */
  readonly message: string;

  /** @internal */
  constructor({ path, message }: Problem, file?: string, place?: Place) {
    this.file = file;
    this.line = place?.line;
    this.column = place?.column;
    this.path = legible(pathText(path), MAX_PATH);
    this.message = legible(message, MAX_MESSAGE);
  }

  /** `FILE:LINE:COLUMN: PATH: MESSAGE`, on one line. */
  toString(): string {
    const where = this.line === undefined ? [this.file] : [`${this.file}:${this.line}:${this.column}`];
    return [...where, this.path, this.message].filter(Boolean).join(': ');
  }
}

/** A config that has mistakes; its message tells all of them, a line each. */
export class ConfigError extends Error {
  /** Always `ConfigError`. */
  override readonly name = 'ConfigError';
  /** Always `ERR_INVALID_CONFIG`. */
  readonly code = 'ERR_INVALID_CONFIG';
  /** All that is wrong, at least one. */
  readonly mistakes: readonly ConfigMistake[];

  /** @internal */
  constructor(mistakes: readonly ConfigMistake[]) {
    super(mistakes.join('\n'));
    this.mistakes = mistakes;
  }
}

const PLAIN_KEY = /^[A-Za-z_$][\w$-]*$/;

/** `routes[2].primary`; keys that are no words stand in brackets. */
export function pathText(path: ConfigPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'string' && PLAIN_KEY.test(part)) text += text === '' ? part : `.${part}`;
    else text += `[${typeof part === 'string' ? JSON.stringify(part) : part}]`;
  }
  return text;
}
