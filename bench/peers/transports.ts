/** The transports of this proxy that take part, the one that the others are compared with first. */
export const TRANSPORTS = ['http2', 'frames'] as const;

export type Transport = (typeof TRANSPORTS)[number];
