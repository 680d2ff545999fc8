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

/** Makes the calls: for so long, or so many. */
export interface Load {
  readonly name: string;
  run(traffic: Traffic, destination: Destination, amount: LoadAmount): Promise<LoadResult>;
}

export type LoadAmount = { readonly seconds: number } | { readonly calls: number };
