import { z } from 'zod';
import { Code } from '../grpc/status.js';
import { checkAuthority } from './backend-schema.js';
import { metadataChanges, metadataMatch } from './metadata-schema.js';
import {
  ALWAYS,
  anyText,
  flag,
  keys,
  list,
  number,
  oneOf,
  oneOrMore,
  size,
  text,
  time,
  wholeNumber,
} from './values.js';
import { wants } from './words.js';

const LONGEST_NAME = 100;

/** What can be shown anywhere: names are labels of metrics, and stand in logs. */
export function checkName(name: string): void {
  if (name.length > LONGEST_NAME) throw new TypeError(`is longer than ${LONGEST_NAME} characters`);
  if (!/^[\x20-\x7e]+$/.test(name)) throw new TypeError('must be of printable ASCII characters');
}

const routeName = text('name', 'a name, as writes', (name) => {
  checkName(name);
  if (/^\d+$/.test(name))
    throw new TypeError('is a number: so routes without a name are called, by their position');
});

const backendName = text('name', "a backend's name");

const SERVICE_FORMS = "a service's name, as storage.Files, or a prefix, as storage.*";
const METHOD_FORMS = "a method's name, as Write, or a prefix, as Get*";

const service = text('name', SERVICE_FORMS, (value) => checkPattern(value, SERVICE_FORMS));
const method = text('name', METHOD_FORMS, (value) => checkPattern(value, METHOD_FORMS));

/** @throws TypeError for what no call can have */
function checkPattern(pattern: string, forms: string): void {
  const star = pattern.indexOf('*');
  if (star >= 0 && star < pattern.length - 1) {
    throw new TypeError(`${JSON.stringify(pattern)} may have a * at its end only: give ${forms}`);
  }
  // A service may have slashes inside, as seen by who takes the last one of a path.
  if (/^\/|\/$|[^\x21-\x7e\x80-\xff]/.test(pattern) || (forms === METHOD_FORMS && pattern.includes('/'))) {
    throw new TypeError(`${JSON.stringify(pattern)} is no name: give ${forms}`);
  }
}

const match = keys({
  service: service.optional().describe('The full name of the service, or a prefix with a * at its end.'),
  method: oneOrMore(method, 'method names', METHOD_FORMS)
    .optional()
    .describe('Names of methods, or prefixes with a * at their end; one, or several of which any will do.'),
  authority: text('authority', 'HOST or HOST:PORT', (value) => {
    if (value.includes('*')) throw new TypeError('takes no *: give HOST or HOST:PORT');
    checkAuthority(value, 'HOST or HOST:PORT');
  })
    .optional()
    .describe('The host that the client asked for, in any case; without a port, any port will do.'),
  metadata: metadataMatch.optional(),
});

const choice = keys({
  backend: backendName.describe('Its name.'),
  weight: wholeNumber(1).describe('Its part of the calls, in proportion to all weights.'),
});

const PRIMARY_FORMS = "a backend's name, or a list of { backend, weight }";

const primary = z
  .union([backendName, list(choice, '{ backend, weight }')], { error: wants('no backend', PRIMARY_FORMS) })
  .transform((given) => (typeof given === 'string' ? [{ backend: given, weight: 1 }] : given));

const secondaryKeys = keys({
  backend: backendName.describe('Its name.'),
  onError: oneOf(['fail', 'ignore'])
    .default('fail')
    .describe('What its failure does: it fails the call, or is ignored.'),
});

const secondary = z
  .union([backendName, secondaryKeys], {
    error: wants('no backend', "a backend's name, or { backend, onError }"),
  })
  .transform((given) => (typeof given === 'string' ? secondaryKeys.parse({ backend: given }) : given));

const shadowKeys = keys({
  backend: backendName.describe('Its name.'),
  percent: number(0, 100).default(100).describe('The part of the calls that it gets, drawn for each call.'),
  compare: flag.default(false).describe("Whether its answers are compared with the primary's."),
  maxLag: size
    .optional()
    .describe(
      'What may be held for it while it is slower than the others; above it is reset. 1MiB by default.',
    ),
  metadata: metadataChanges("Changes of its requests' metadata, after the route's.").optional(),
});

const shadow = z
  .union([backendName, shadowKeys], {
    error: wants('no backend', "a backend's name, or { backend, percent, … }"),
  })
  .transform((given) => (typeof given === 'string' ? shadowKeys.parse({ backend: given }) : given));

type CodeName = Exclude<keyof typeof Code, 'OK'>;
const CODE_NAMES = Object.keys(Code).filter((name): name is CodeName => /^[A-Z]/.test(name) && name !== 'OK');

const reject = keys({
  code: oneOf(CODE_NAMES).describe("The status, by its name in gRPC's statuscodes.md."),
  message: anyText('text', 'a message for people').default('').describe('For people.'),
});

/** What makes sense only where calls go to a backend. */
const NOT_REJECTED = [
  'primary',
  'secondaries',
  'shadows',
  'timeout',
  'waitForReady',
  'requestMetadata',
  'responseMetadata',
] as const;

/** Calls, and where they go. */
export const route = keys({
  name: routeName
    .optional()
    .describe('For metrics and logs; by default its position as a number, the first route being "1".'),
  match: match.describe('What a call must be like, all of it; {} is every call.'),
  primary: primary
    .optional()
    .describe('The backend that answers; or a list of which one is drawn for each call, by weight.'),
  secondaries: list(secondary, 'backends')
    .optional()
    .describe('Backends that get every message too, and must succeed too; their answers are dropped.'),
  shadows: list(shadow, 'backends')
    .optional()
    .describe('Backends that get a copy of a call, and can neither fail nor delay it.'),
  timeout: time.optional().describe("How long a call may take, unless the client's deadline is earlier."),
  waitForReady: flag
    .optional()
    .describe('Whether calls wait when no connection can be made, for as long as their deadline allows.'),
  requestMetadata: metadataChanges('Changes of the metadata that all backends get.').optional(),
  responseMetadata: metadataChanges('Changes of the response headers that the client gets.').optional(),
  reject: reject.optional().describe('Refuses the calls, in place of sending them to a backend.'),
}).superRefine((given, ctx) => {
  if (given.reject === undefined) {
    if (given.primary === undefined)
      ctx.addIssue({ code: 'custom', path: [], message: 'needs primary, or reject' });
    return;
  }
  for (const key of NOT_REJECTED) {
    if (given[key] === undefined) continue;
    ctx.addIssue({ code: 'custom', path: [key], message: 'makes no sense beside reject: give one of them' });
  }
}, ALWAYS);

export type RouteConfig = z.output<typeof route>;
export type MatchConfig = z.output<typeof match>;
