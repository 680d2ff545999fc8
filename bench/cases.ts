import { PREFIX_LENGTH } from '../lib/grpc/framing.js';
import type { BackendMode } from './backend/backend-setup.js';
import type { Traffic } from './load/traffic.js';
import type { Extra } from './peers/peer.js';

/** One kind of traffic through one kind of set-up. */
export interface Case {
  readonly name: string;
  readonly title: string;
  /** Cases of a group are measured interleaved, because they are compared with each other. */
  readonly group: string;
  readonly traffic: Traffic;
  readonly backend: BackendMode;
  /** The message of a backend that answers. */
  readonly answerBytes: number;
  readonly secondaries: number;
  readonly shadows: number;
  readonly secure: boolean;
  /** The peers that do more than proxying take part in it, if it is this. */
  readonly extras: readonly Extra[];
}

const SMALL = 100;
const MEBIBYTE = 1024 * 1024;
const BIDI_MESSAGE = 64 * 1024;
const BIDI_MESSAGES = 16;

const unary = {
  group: 'unary',
  traffic: {
    connections: 4,
    inFlightPerConnection: 25,
    messages: 1,
    messageBytes: SMALL,
    responseBytes: PREFIX_LENGTH + SMALL,
  },
  backend: 'echo',
  answerBytes: 0,
  secondaries: 0,
  shadows: 0,
  secure: false,
  extras: [],
} as const;

const large = {
  ...unary,
  traffic: { ...unary.traffic, connections: 2, inFlightPerConnection: 4 },
  backend: 'answer',
} as const;

export const CASES: readonly Case[] = [
  { ...unary, name: 'unary', title: '100-byte unary, 100 in flight', extras: ['peek', 'observe'] },
  {
    ...unary,
    name: 'unary-secondaries',
    title: '100-byte unary, 100 in flight, 2 secondaries',
    secondaries: 2,
    extras: ['peek'],
  },
  {
    ...unary,
    name: 'unary-secondary',
    title: '100-byte unary, 100 in flight, a secondary',
    secondaries: 1,
  },
  {
    ...unary,
    name: 'unary-shadow',
    title: '100-byte unary, 100 in flight, a shadow',
    shadows: 1,
  },
  { ...unary, name: 'unary-tls', title: '100-byte unary, 100 in flight, TLS on both sides', secure: true },
  {
    ...unary,
    name: 'unary-one',
    title: '100-byte unary, one in flight',
    group: 'unary-one',
    traffic: { ...unary.traffic, connections: 1, inFlightPerConnection: 1 },
  },
  {
    ...unary,
    name: 'unary-many',
    title: '100-byte unary, 1 024 in flight on 64 connections',
    group: 'unary-many',
    traffic: { ...unary.traffic, connections: 64, inFlightPerConnection: 16 },
  },
  {
    ...large,
    name: 'up',
    title: '1 MiB up, 8 in flight',
    group: 'up',
    traffic: { ...large.traffic, messageBytes: MEBIBYTE, responseBytes: PREFIX_LENGTH },
  },
  {
    ...large,
    name: 'up-secondaries',
    title: '1 MiB up, 8 in flight, 2 secondaries',
    group: 'up',
    traffic: { ...large.traffic, messageBytes: MEBIBYTE, responseBytes: PREFIX_LENGTH },
    secondaries: 2,
  },
  {
    ...large,
    name: 'down',
    title: '1 MiB down, 8 in flight',
    group: 'down',
    traffic: { ...large.traffic, responseBytes: PREFIX_LENGTH + MEBIBYTE },
    answerBytes: MEBIBYTE,
  },
  {
    ...large,
    name: 'down-tls',
    title: '1 MiB down, 8 in flight, TLS on both sides',
    group: 'down',
    traffic: { ...large.traffic, responseBytes: PREFIX_LENGTH + MEBIBYTE },
    answerBytes: MEBIBYTE,
    secure: true,
  },
  {
    ...large,
    name: 'bidi',
    title: 'bidi stream, 16 messages of 64 KiB each way, 8 in flight',
    group: 'bidi',
    backend: 'echo',
    traffic: {
      ...large.traffic,
      messages: BIDI_MESSAGES,
      messageBytes: BIDI_MESSAGE,
      unansweredMessages: 2,
      responseBytes: BIDI_MESSAGES * (PREFIX_LENGTH + BIDI_MESSAGE),
    },
  },
];
