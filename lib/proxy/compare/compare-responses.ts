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
  const { primary, secondaries, shadows, requestFinalizer, callOptions } = parameters as Compared;
  const groups = { secondaries: watchedAll(secondaries, calls), shadows: watchedAll(shadows, calls) };
  if (calls.others === 0) return parameters;
  const copy = { ...parameters, ...groups, primary: watched(primary, (own) => new PrimaryWatch(calls, own)) };
  return (isPlain(parameters) ? copy : { ...copy, requestFinalizer, callOptions }) as StreamParameters;
}

/** Destinations, or so many of them as are needed. */
type Group = Iterable<Destination> | { readonly of: Iterable<Destination> };

/** The groups of parameters that are compared with the primary. */
interface Compared extends Omit<StreamParameters, 'secondaries' | 'shadows'> {
  readonly secondaries?: Group | undefined;
  readonly shadows?: Group | undefined;
}

function watchedAll(group: Group | undefined, calls: ComparedCalls): Group | undefined {
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
  const { observer: own } = destination;
  const observer = watch(own);
  if (isPlain(destination)) return { ...destination, observer };
  const { conn, ctx, msg, errHandler } = destination;
  return { ...destination, conn, ctx, msg, errHandler, observer };
}

/** Whether a copy of its own properties is a copy of all: the application's may be objects with accessors. */
function isPlain(object: object): boolean {
  return Object.getPrototypeOf(object) === Object.prototype;
}

/** The calls that are made with the same parameters. */
class ComparedCalls {
  readonly settings: CompareSettings;
  /** Destinations that are compared with the primary. */
  others = 0;
  readonly #memory: ComparingMemory;
  /** The first call, which mostly is the only one: a `WeakMap` costs more than all the rest. */
  #call: object | undefined;
  #comparison: Comparison | undefined;
  #comparisons: WeakMap<object, Comparison> | undefined;

  constructor(settings: CompareSettings, memory: ComparingMemory) {
    this.settings = settings;
    this.#memory = memory;
  }

  comparisonOf(response: WatchedResponse): Comparison {
    const { call } = response;
    if (call === this.#call) return this.#comparison!;
    const known = this.#comparisons?.get(call);
    if (known !== undefined) return known;
    const comparison = new Comparison(this.settings, this.#memory, response);
    if (this.#comparisons !== undefined) {
      this.#comparisons.set(call, comparison);
    } else if (this.#call === undefined) {
      this.#call = call;
      this.#comparison = comparison;
    } else {
      this.#comparisons = new WeakMap([
        [this.#call, this.#comparison!],
        [call, comparison],
      ]);
      this.#call = undefined;
      this.#comparison = undefined;
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
