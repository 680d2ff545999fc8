/** What the clients of a case do. */
export interface Traffic {
  /** Connections, with so many calls in flight on each. */
  readonly connections: number;
  readonly inFlightPerConnection: number;
  /** The messages of a request, each of so many bytes. */
  readonly messages: number;
  readonly messageBytes: number;
  /**
   * How many messages may be on their way before their echo is back; undefined sends the request without waiting
   * for anything.
   */
  readonly unansweredMessages?: number;
  /** Calls are begun at this rate, however long they take, while there are few enough; undefined: one after the other. */
  readonly callsPerSecond?: number;
  /** DATA of the right response, prefixes included. */
  readonly responseBytes: number;
}

/** Where the clients go. */
export interface Destination {
  readonly port: number;
  readonly secure: boolean;
}

/** What the clients saw. */
export interface LoadResult {
  readonly calls: number;
  /** Calls that did not end with all of the right response. */
  readonly failed: number;
  readonly seconds: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
}

/** Makes so many calls. */
export interface CountedLoad {
  readonly name: string;
  run(traffic: Traffic, destination: Destination, amount: { readonly calls: number }): Promise<LoadResult>;
}

/** Begins calls for so long, and waits for their ends. */
export interface TimedLoad {
  run(traffic: Traffic, destination: Destination, amount: { readonly seconds: number }): Promise<LoadResult>;
}

/** A load that takes longer than this hangs, which is a failure of the proxy. */
export const LOAD_TIMEOUT_MILLISECONDS = 20_000;
