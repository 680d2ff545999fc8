import type { Certificate } from '../certificate.js';

/** `echo` sends every DATA back as it comes; `answer` takes the request in, then answers with one message. */
export type BackendMode = 'echo' | 'answer';

/** What the backend's process is told. */
export interface BackendSetup {
  readonly mode: BackendMode;
  /** The length of the message that `answer` answers with. */
  readonly answerBytes: number;
  /** How many ports, each a backend of its own: the primary and the secondaries. */
  readonly count: number;
  readonly tls: Certificate | undefined;
}
