import { whenSettled } from '../call/hooks.js';
import type { Failure } from '../call/outcome.js';
import type { Peeker } from '../server/peeker.js';
import type { ServerCall } from '../server/server-call.js';
import { isParameters, type StreamDirector, type StreamParameters } from './director.js';
import { DirectorTimer } from './director-timer.js';

/** Who wants to know where a call goes. */
interface Undirected {
  /** A director has answered, and be it nonsense. */
  open(parameters: StreamParameters): void;
  /** It has thrown this. */
  refuseFor(thrown: unknown): void;
  /** Its time is over. */
  refuse(failure: Failure): void;
}

/** Asks a director where a call goes. Returns what limits its time, unless it answers at once. */
export function askDirector(
  director: StreamDirector,
  { context }: ServerCall,
  peeker: Peeker,
  milliseconds: number,
  undirected: Undirected,
): DirectorTimer | undefined {
  let answer: StreamParameters | Promise<StreamParameters>;
  let isAnswer: boolean;
  try {
    answer = director(context, context.method, peeker);
    isAnswer = isParameters(answer);
  } catch (error) {
    undirected.refuseFor(error);
    return undefined;
  }
  if (isAnswer) {
    undirected.open(answer as StreamParameters);
    return undefined;
  }
  // A promise, or something like one; or nonsense.
  void whenSettled(
    answer,
    (parameters) => undirected.open(parameters),
    (error) => undirected.refuseFor(error),
  );
  return new DirectorTimer(milliseconds, (error) => undirected.refuse({ error, reason: 'director' }));
}
