import { COMPARE_LIMITS } from '../defaults.js';
import type { Destination, StreamParameters } from '../director.js';
import {
  type ResponseObserver,
  ResponseWatch,
  type ResponseWatcher,
  type WatchedResponse,
} from '../response-observer.js';
import { ComparingMemory } from './allowance.js';
import { Comparison } from './comparison.js';
import { type CompareOptions, type CompareSettings, checkedSettings } from './settings.js';

const memory = new ComparingMemory(COMPARE_LIMITS.totalBytes);

/** Of options that are used for one call after the other. */
const settingsOf = new WeakMap<CompareOptions, CompareSettings>();

/**
 * Has the primary's answer compared with those of all other destinations, while they come: status, messages by content,
 * their number, and fields that are named. Apply it last: it stands in the place of the destinations' observers, which
 * are called as before. It neither delays nor changes the call.
 *
 * A destination that gave no whole answer for another reason than its own status is `inconclusive`, never `different`:
 * unreachable, reset, cancelled, as others are when the primary fails, or behind another by more than 10 000 messages;
 * so are all if the primary gave none. All comparisons of the process together hold at most 64 MiB.
 *
 * @returns parameters for one call, or for any number
 * @throws TypeError for an option that makes no sense
 */
export function compareResponses(parameters: StreamParameters, options: CompareOptions): StreamParameters {
  let settings = settingsOf.get(options);
  if (settings === undefined) {
    settings = checkedSettings(options);
    settingsOf.set(options, settings);
  }
  return compareWithin(memory, parameters, settings);
}

/** The same, with memory of its own. */
export function compareWithin(
  memory: ComparingMemory,
  parameters: StreamParameters,
  settings: CompareSettings,
): StreamParameters {
  const calls = new ComparedCalls(settings, memory);
  const { secondaries, shadows } = parameters as Compared;
  const others = {
    ...(secondaries === undefined ? {} : { secondaries: watchedAll(secondaries, calls) }),
    ...(shadows === undefined ? {} : { shadows: watchedAll(shadows, calls) }),
  };
  if (calls.others === 0) return parameters;
  return {
    ...parameters,
    // By name, too: the parameters are the application's, and may be an object with accessors.
    requestFinalizer: parameters.requestFinalizer,
    callOptions: parameters.callOptions,
    primary: watched(parameters.primary, (observer) => new PrimaryWatch(calls, observer)),
    ...others,
  } as StreamParameters;
}

/** Destinations, or so many of them as are needed. */
type Group = Iterable<Destination> | { readonly of: Iterable<Destination> };

/** The groups of parameters that are compared with the primary. */
interface Compared {
  readonly secondaries?: Group | undefined;
  readonly shadows?: Group | undefined;
}

function watchedAll(group: Group, calls: ComparedCalls): Group {
  // What is nonsense the call itself says.
  if (typeof group !== 'object' || group === null) return group;
  const one = (destination: Destination) => {
    calls.others++;
    const { baseline } = calls.settings;
    const isBaseline = baseline !== undefined && destination?.conn === baseline;
    return watched(destination, (observer) => new OtherWatch(calls, isBaseline, observer));
  };
  return 'of' in group ? { ...group, of: Array.from(group.of, one) } : Array.from(group, one);
}

function watched(
  destination: Destination,
  watch: (observer: ResponseObserver | undefined) => ResponseWatch,
): Destination {
  if (typeof destination !== 'object' || destination === null) return destination;
  const { conn, ctx, msg, errHandler, observer } = destination;
  return { ...destination, conn, ctx, msg, errHandler, observer: watch(observer) };
}

/** The calls that are made with the same parameters. */
class ComparedCalls {
  readonly settings: CompareSettings;
  /** Destinations that are compared with the primary. */
  others = 0;
  readonly #memory: ComparingMemory;
  readonly #comparisons = new WeakMap<object, Comparison>();

  constructor(settings: CompareSettings, memory: ComparingMemory) {
    this.settings = settings;
    this.#memory = memory;
  }

  comparisonOf(response: WatchedResponse): Comparison {
    let comparison = this.#comparisons.get(response.call);
    if (comparison === undefined) {
      comparison = new Comparison(this.settings, this.#memory, response);
      this.#comparisons.set(response.call, comparison);
    }
    return comparison;
  }
}

class PrimaryWatch extends ResponseWatch {
  readonly #calls: ComparedCalls;

  constructor(calls: ComparedCalls, observer: ResponseObserver | undefined) {
    super(observer);
    this.#calls = calls;
  }

  watch(response: WatchedResponse): ResponseWatcher | undefined {
    return this.#calls.comparisonOf(response).watchPrimary();
  }
}

class OtherWatch extends ResponseWatch {
  readonly #calls: ComparedCalls;
  readonly #isBaseline: boolean;

  constructor(calls: ComparedCalls, isBaseline: boolean, observer: ResponseObserver | undefined) {
    super(observer);
    this.#calls = calls;
    this.#isBaseline = isBaseline;
  }

  watch(response: WatchedResponse): ResponseWatcher {
    return this.#calls.comparisonOf(response).watchOther(response, this.#isBaseline);
  }
}
