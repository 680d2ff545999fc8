import { MAX_TIMER_MILLISECONDS } from '../../call/deadline.js';
import { outOfRange, wrongType, wrongValue } from '../../port/errors.js';
import { checkFunction, checkOptions, type OptionNames } from '../../port/options.js';
import type { OnDropped } from './drops.js';

/** Where the access log goes, and what is in it. */
export interface AccessLogOptions {
  /** The path of a file, which is appended to, or `-` for standard output. */
  readonly file: string;
  /** The fraction of the calls that end OK that is logged, from 0 to 1; failed ones always are. Default 1. */
  readonly sample?: number | undefined;
  /** After so long, and again and again, a call that still runs is logged, too; in milliseconds. Default 60 000. */
  readonly runningIntervalMilliseconds?: number | undefined;
  /**
   * Told of lines that were dropped, since more would wait than may (16 MiB), or for an error of the file: how many more, and
   * why; once a second at most. By default nobody is told: {@link AccessLog.dropped} counts them.
   */
  readonly onDropped?: OnDropped | undefined;
}

/** What is not given. */
export const ACCESS_LOG_DEFAULTS = {
  sample: 1,
  // What OPERATIONS promises to who runs the command.
  runningIntervalMilliseconds: 60_000,
} as const;

const OPTIONS: OptionNames<AccessLogOptions> = {
  file: true,
  sample: true,
  runningIntervalMilliseconds: true,
  onDropped: true,
};

/** @throws TypeError or RangeError for an option that makes no sense */
export function checkedOptions(options: AccessLogOptions) {
  checkOptions(options, OPTIONS);
  const { file, sample, runningIntervalMilliseconds, onDropped } = options;
  if (typeof file !== 'string') throw wrongType('file', 'a path, or "-"', file);
  if (file === '') throw wrongValue('file', 'a path, or "-"', file);
  checkFunction('onDropped', onDropped);
  return {
    file,
    onDropped,
    sample: checkedNumber('sample', sample ?? ACCESS_LOG_DEFAULTS.sample, 0, 1),
    runningIntervalMilliseconds: checkedNumber(
      'runningIntervalMilliseconds',
      runningIntervalMilliseconds ?? ACCESS_LOG_DEFAULTS.runningIntervalMilliseconds,
      1,
      MAX_TIMER_MILLISECONDS,
    ),
  };
}

function checkedNumber(name: string, value: number, least: number, most: number): number {
  if (typeof value !== 'number') throw wrongType(name, 'a number', value);
  if (value >= least && value <= most) return value;
  throw outOfRange(name, `from ${least} to ${most}`, value);
}
