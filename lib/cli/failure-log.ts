import type { FailedCall } from '../call/observer.js';
import type { FailureReason } from '../call/outcome.js';
import { Code } from '../grpc/status.js';
import { printable } from '../transport/printable.js';
import type { Log } from './log.js';
import { RepeatedLines } from './repeated-lines.js';

/** The most that is shown of a method's name, of an error's message, and of a stack. */
const MAX_METHOD_CHARACTERS = 200;
const MAX_MESSAGE_CHARACTERS = 500;
const MAX_STACK_CHARACTERS = 4000;

/** Failures of the client's own doing, and those that the config asks for, are nobody's trouble here. */
const EXPECTED: ReadonlySet<FailureReason> = new Set([
  'client_cancelled',
  'client_gone',
  'rejected',
  'no_route',
  'draining',
]);

/** What an application's code throws is a mistake in it: where, its stack says. */
const OF_CODE: ReadonlySet<FailureReason> = new Set(['director', 'handler', 'interceptor', 'finalizer']);

/** Says which calls fail, and why: the first of a kind at once, of more only how many. */
export class FailureLog {
  readonly #lines: RepeatedLines;
  readonly #expected: RepeatedLines;

  constructor(log: Log) {
    const rest = 'calls of further kinds fail';
    this.#lines = new RepeatedLines((line) => log.warn(line), rest);
    this.#expected = new RepeatedLines((line) => log.debug(line), rest);
  }

  add({ method, route, failure, target }: FailedCall): void {
    const { error, reason } = failure;
    const lines = EXPECTED.has(reason) ? this.#expected : this.#lines;
    // Clients choose it, and a terminal may obey it.
    const name = printable(method, MAX_METHOD_CHARACTERS);
    const way = route === undefined ? '' : ` by route ${route}`;
    const to = target === undefined ? '' : ` to ${target}`;
    lines.add(`${name}${way}${to} fails with ${Code[error.code]} (${reason})`, detailOf(failure));
  }

  /** Says what has not been said. */
  stop(): void {
    this.#lines.stop();
    this.#expected.stop();
  }
}

function detailOf({ error, reason }: FailedCall['failure']): string {
  const message = printable(error.message, MAX_MESSAGE_CHARACTERS);
  const { cause } = error;
  if (!OF_CODE.has(reason) || !(cause instanceof Error)) return message;
  // Its lines are told apart, as the log's format has it. What commands a terminal does not stay.
  const stack = String(cause.stack).slice(0, MAX_STACK_CHARACTERS).split('\n');
  return stack.map((line) => printable(line, MAX_MESSAGE_CHARACTERS)).join('\n');
}
