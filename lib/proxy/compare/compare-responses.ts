import { COMPARE_LIMITS } from '../defaults.js';
import type { Destination, SecondaryQuorum, ShadowDestination, StreamParameters } from '../director.js';
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
  try {
    return watchedParameters(parameters, new ComparedCalls(settings, memory));
  } catch {
    // They are the application's, and may throw when they are read: the call itself says so, or can do without.
    return parameters;
  }
}

function watchedParameters(parameters: StreamParameters, calls: ComparedCalls): StreamParameters {
  const { primary, secondaries, shadows, requestFinalizer, callOptions, route } = parameters;
  const { requestObserver, editResponseHeaders, editResponseTrailers } = parameters;
  // By name, here and below: they may be objects with accessors. The types see to it that none is forgotten.
  const copy: Record<keyof StreamParameters, unknown> = {
    primary: watched(primary, (_, observer) => new PrimaryWatch(calls, observer)),
    secondaries: watchedAll(secondaries, calls),
    shadows: watchedAll(shadows, calls),
    requestFinalizer,
    callOptions,
    route,
    requestObserver,
    editResponseHeaders,
    editResponseTrailers,
  };
  return calls.others === 0 ? parameters : (copy as unknown as StreamParameters);
}

/** Of what makes no sense the call itself says so. */
function watchedAll(group: unknown, calls: ComparedCalls): unknown {
  if (typeof group !== 'object' || group === null) return group;
  const { baseline } = calls.settings;
  const one = (destination: Destination): Destination => {
    calls.others++;
    return watched(destination, (conn, observer) => {
      const isBaseline = baseline !== undefined && conn === baseline;
      return new OtherWatch(calls, isBaseline, observer);
    });
  };
  const { of, need } = group as Record<keyof SecondaryQuorum, unknown>;
  if (of !== undefined) {
    const quorum: Record<keyof SecondaryQuorum, unknown> = { of: Array.isArray(of) ? of.map(one) : of, need };
    return quorum;
  }
  return Symbol.iterator in group ? Array.from(group as Iterable<Destination>, one) : group;
}

function watched(
  destination: Destination,
  watch: (conn: Destination['conn'], observer: ResponseObserver | undefined) => ResponseWatch,
): Destination {
  if (typeof destination !== 'object' || destination === null) return destination;
  try {
    const { conn, ctx, msg, errHandler, observer } = destination;
    const { maxLagBytes, graceMilliseconds, percent, sampleKey }: ShadowDestination = destination;
    const copy: Record<keyof ShadowDestination, unknown> = {
      conn,
      ctx,
      msg,
      errHandler,
      observer: watch(conn, observer),
      maxLagBytes,
      graceMilliseconds,
      percent,
      sampleKey,
    };
    return copy as unknown as Destination;
  } catch {
    // What one throws when it is read is its own failure, which of a shadow's is not the call's.
    return destination;
  }
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
