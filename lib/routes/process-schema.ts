import { z } from 'zod';
import { parseListenAddress } from '../port/address.js';
import { checkPair } from './backend-schema.js';
import {
  ALWAYS,
  duration,
  filePath,
  keys,
  list,
  number,
  oneOf,
  oneOrMore,
  text,
  wholeNumber,
} from './values.js';
import { wants } from './words.js';

// What the command's process does besides sending calls to backends.

const ADDRESS_FORMS = 'HOST:PORT, :PORT or unix:/PATH';

const address = text('address', ADDRESS_FORMS, (value) => void parseListenAddress(value)).describe(
  `${ADDRESS_FORMS}; without a host it is every interface.`,
);

const listenTls = keys({
  cert: filePath.optional().describe("This side's certificate, and what leads to its authority, in PEM."),
  key: filePath.optional().describe('Its private key, in PEM.'),
  clientCa: filePath
    .optional()
    .describe('Takes calls only from clients that show a certificate of these authorities, in PEM.'),
}).superRefine((given, ctx) => {
  checkPair(given, ctx);
  if (given.cert !== undefined || given.key !== undefined) return;
  ctx.addIssue({ code: 'custom', path: [], message: 'needs cert and key: without them there is no TLS' });
}, ALWAYS);

const listenKeys = keys({ address, tls: listenTls.optional().describe('Takes calls by TLS.') });

const listener = z
  .union([address, listenKeys], { error: wants('no address', `${ADDRESS_FORMS}, or { address, tls }`) })
  .transform((given) => (typeof given === 'string' ? listenKeys.parse({ address: given }) : given));

const host = text('host', 'a host name without a port, as proxy.internal', (value) => {
  if (!/^[\w.-]+$/.test(value))
    throw new TypeError(`${JSON.stringify(value)} is no host: give a name without a port`);
});

const adminKeys = keys({
  address,
  hosts: list(host, 'host names')
    .default([])
    .describe('Names that it may be asked by, besides IP addresses and localhost.'),
});

const admin = z
  .union([address, adminKeys], { error: wants('no address', `${ADDRESS_FORMS}, or { address, hosts }`) })
  .transform((given) => (typeof given === 'string' ? adminKeys.parse({ address: given }) : given));

const WORKERS_FORMS = 'a whole number from 1 to 1024, or auto';

const workers = z.union([wholeNumber(1, 1024), oneOf(['auto'])], {
  error: wants('none', WORKERS_FORMS),
});

/** The keys of these, all of which may be left out. */
export const processKeys = {
  listen: oneOrMore(listener, 'addresses', ADDRESS_FORMS)
    .optional()
    .describe('Where calls are taken: addresses, or { address, tls }.'),
  admin: admin
    .optional()
    .describe('Where the admin endpoint is: an address, or { address, hosts }. None by default.'),
  workers: workers
    .default(1)
    .describe(
      'Processes that share the addresses; auto: as many as there are cores. 1 by default: no further process.',
    ),
  metrics: keys({
    maxMethods: wholeNumber(0)
      .default(1000)
      .describe('Methods, besides those that routes name, that metrics tell apart; 1000 by default.'),
  })
    .prefault({})
    .describe('Metrics.'),
  health: oneOf(['own', 'forward'])
    .default('own')
    .describe(
      'Who answers grpc.health.v1 for the server as a whole: this process, or a backend. own by default.',
    ),
  drainTimeout: duration
    .prefault('30s')
    .describe('How long running calls have to finish after SIGTERM; 30s by default.'),
  accessLog: keys({
    file: filePath.describe('Where it is written; "-" is standard output.'),
    sample: number(0, 1).default(1).describe('The fraction of OK calls that is logged; failures always are.'),
  })
    .optional()
    .describe('A line of JSON per call. None by default.'),
};
