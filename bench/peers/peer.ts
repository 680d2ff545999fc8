import type { Certificate } from '../certificate.js';
import type { Child } from '../child.js';

/** How a proxy is to be set up. */
export interface Setup {
  readonly listenPort: number;
  /** On 127.0.0.1; the primary's first. */
  readonly backendPorts: readonly number[];
  /** The last so many of them are shadows; what lies between are secondaries. */
  readonly shadows: number;
  /** Encrypts both sides, when given. */
  readonly certificate: Certificate | undefined;
  /** For files that the proxy needs; removed afterwards. */
  readonly directory: string;
}

/** How programs of this directory are run. */
export interface NodeOptions {
  /** The binary. */
  readonly node: string;
  /** Where to write CPU profiles to, if anywhere. */
  readonly profileDirectory: string | undefined;
}

/** Another build of this library. */
export interface Library {
  readonly name: string;
  /** Its `dist/lib`. */
  readonly directory: string;
}

/** What a proxy may do besides. */
export type Extra = 'peek' | 'observe';

/** A proxy that takes part. */
export interface Peer {
  readonly name: string;
  /** It does more than proxying, peeks or is observed, and takes part only where that is compared. */
  readonly extra?: Extra;
  /** Why it cannot take part on this machine, and how to mend that; undefined if it can. */
  missing(): string | undefined;
  /** Why it cannot take part in a case with this many secondaries, shadows included; undefined if it can. */
  unfit?(secondaries: number): string | undefined;
  /** Starts it; the caller waits until it listens. */
  start(setup: Setup): Child;
}
