/** What clients and backends say to each other, as JSON in the messages of calls. */
export interface Question {
  /** Of the client's calls. */
  readonly id: number;
  /** How long the backend takes, in milliseconds. */
  readonly sleep?: number;
}

export interface Answer extends AnswerPath {
  readonly id: number;
  /** How often the call had been tried before (`grpc-previous-rpc-attempts`). */
  readonly attempts: number;
}

/** Which way a call has gone. */
export interface AnswerPath {
  /** The number of the backend. */
  readonly backend: string;
  /** By which name the proxy reached it. */
  readonly name: string;
  /** The number of the proxy's replica. */
  readonly replica: string;
  /** Which config that went by. */
  readonly config: string;
}

/** What routes put on requests. */
export const REPLICA_FIELD = 'x-replica';
export const CONFIG_FIELD = 'x-config';
/** The number of the phase that the client was in. */
export const PHASE_FIELD = 'x-phase';

/** Calls that are made once; and those of which the client's policy, and its application, may make another. */
export const SERVICES = { once: 'proof.Once', repeated: 'proof.Repeated' } as const;

/** What a client's retry policy says (gRFC A6). */
export const SERVICE_CONFIG = {
  methodConfig: [
    {
      name: [{ service: SERVICES.repeated }],
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: '0.1s',
        maxBackoff: '1s',
        backoffMultiplier: 2,
        retryableStatusCodes: ['UNAVAILABLE'],
      },
    },
  ],
} as const;
