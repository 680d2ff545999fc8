import type { z } from 'zod';
import { LOAD_BALANCING } from '../client/channel/load-balancing.js';
import { checkedAuthority } from '../port/address.js';
import { parseTarget } from '../port/target.js';
import {
  ALWAYS,
  anyText,
  filePath,
  keys,
  list,
  oneOf,
  problemOf,
  text,
  time,
  wholeNumber,
} from './values.js';
import { wants } from './words.js';

const TARGET_FORMS = 'http://HOST:PORT, https://HOST:PORT, unix:/PATH, HOST:PORT or dns:///HOST:PORT';

const AUTHORITY_FORMS = 'preserve, HOST or HOST:PORT';

/** @throws TypeError */
export function checkAuthority(value: string, forms: string): void {
  const isSendable = problemOf(() => void checkedAuthority('', value)) === undefined;
  if (!isSendable) throw new TypeError(wants('no authority', forms)({ input: value }));
}

const target = text('target', TARGET_FORMS, (value) => void parseTarget(value));

const tls = keys({
  ca: filePath
    .optional()
    .describe("The authorities that the backend's certificate must be of, in PEM; by default the system's."),
  cert: filePath.optional().describe('The certificate that the backend is shown if it asks for one, in PEM.'),
  key: filePath.optional().describe('Its private key, in PEM.'),
  serverName: text('name', 'whom the certificate must be for, as files.internal')
    .optional()
    .describe("Whom the backend's certificate must be for; by default the target's host."),
}).superRefine(checkPair, ALWAYS);

/** A certificate and its key belong together. */
export function checkPair(
  { cert, key }: { readonly cert?: unknown; readonly key?: unknown },
  ctx: z.RefinementCtx,
): void {
  const [present, missing] = cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
  if ((cert === undefined) === (key === undefined)) return;
  ctx.addIssue({ code: 'custom', path: [present], message: `needs ${missing}: they belong together` });
}

/** What `dial()` is given. */
export const backend = keys({
  target: target
    .optional()
    .describe(`Where it is: ${TARGET_FORMS}. A name stands for all of its addresses. https:// is TLS.`),
  targets: list(target, 'targets')
    .optional()
    .describe('Several, which are then the addresses of one backend.'),
  loadBalancing: oneOf(LOAD_BALANCING)
    .optional()
    .describe('How calls are spread over its addresses; round_robin by default.'),
  tls: tls.optional().describe('TLS, also for targets that are not https://. An empty mapping turns it on.'),
  healthCheck: keys({
    service: anyText('text', 'the name of a service, or "" for the server as a whole').describe(
      'The service that must be SERVING; "" is the server as a whole.',
    ),
  })
    .optional()
    .describe('Lets an address take calls only while its grpc.health.v1 says that a service is SERVING.'),
  keepalive: keys({
    time: time.optional().describe('The silence after which it is asked whether it lives; 10s by default.'),
    timeout: time.optional().describe('How long it has to answer; 10s by default.'),
  })
    .optional()
    .describe('When the backend is asked, while calls run, whether it lives.'),
  maxConnections: wholeNumber(1)
    .optional()
    .describe('Connections to each address at a time; 100 by default.'),
  maxConcurrentCalls: wholeNumber(1)
    .optional()
    .describe(
      'Calls at a time; further ones fail with RESOURCE_EXHAUSTED at once. By default as many as come.',
    ),
  authority: text('authority', AUTHORITY_FORMS, (value) => checkAuthority(value, AUTHORITY_FORMS))
    .optional()
    .describe(
      "The :authority of requests: preserve for the client's, or a fixed one; by default the target's host and port.",
    ),
}).superRefine((given, ctx) => {
  const { target, targets } = given;
  if ((target === undefined) === (targets === undefined)) {
    const message =
      target === undefined ? 'needs target, or targets' : 'has target and targets: give one of them';
    ctx.addIssue({ code: 'custom', path: [], message });
  }
  if (!Array.isArray(targets)) return;
  const schemes = targets.map(schemeOf).filter((scheme) => scheme !== undefined);
  const odd = targets.findIndex((each) => schemeOf(each) !== undefined && schemeOf(each) !== schemes[0]);
  if (odd < 0) return;
  const message = 'all targets of a backend must be with TLS (https://), or none';
  ctx.addIssue({ code: 'custom', path: ['targets', odd], message });
}, ALWAYS);

export type BackendConfig = z.output<typeof backend>;

/** Undefined for what is no target, which is told already. */
function schemeOf(target: unknown): string | undefined {
  let scheme: string | undefined;
  problemOf(() => {
    scheme = parseTarget(target as string).scheme;
  });
  return scheme;
}
