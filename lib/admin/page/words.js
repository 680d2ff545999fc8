/** Characters that turn, hide or command text: method names and messages are anybody's. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** A text of a peer's, so that what is seen is what it is. */
export function plain(text) {
  return text.replace(UNSEEN, '\ufffd');
}

const whole = new Intl.NumberFormat('en');
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

export function count(value) {
  return value < 100_000 ? whole.format(value) : compact.format(value);
}

export function rate(value) {
  if (value === 0) return '0';
  return value < 10 ? value.toFixed(1) : count(Math.round(value));
}

export function percent(part, all) {
  if (all === 0 || part === 0) return '0 %';
  const value = (part / all) * 100;
  if (value < 0.1) return '<0.1 %';
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

/** A latency, as number and unit. */
export function latency(milliseconds) {
  if (milliseconds === undefined || milliseconds === null) return ['–', ''];
  if (milliseconds < 1000) return [digits(milliseconds), 'ms'];
  return milliseconds < 100_000 ? [digits(milliseconds / 1000), 's'] : [digits(milliseconds / 60_000), 'min'];
}

function digits(value) {
  return value < 0.1 ? value.toFixed(2) : value < 10 ? value.toFixed(1) : String(Math.round(value));
}

/** How long something has lasted. */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds < 600 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** A time of the day, with its date where that is not today's. */
export function time(at) {
  const date = new Date(at);
  const clock = date.toLocaleTimeString('en-GB');
  if (date.toDateString() === new Date().toDateString()) return clock;
  return `${date.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })}, ${clock}`;
}

export function bytes(value) {
  if (value < 1024) return `${value} B`;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  let scaled = value / 1024;
  let unit = 0;
  while (scaled >= 1024 && unit < units.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return `${scaled < 10 ? scaled.toFixed(1) : Math.round(scaled)} ${units[unit]}`;
}

export const STATES = {
  IDLE: 'Idle',
  CONNECTING: 'Connecting',
  READY: 'Ready',
  TRANSIENT_FAILURE: 'Failing',
  SHUTDOWN: 'Closed',
};

/** Codes that say no more than that the request cannot be done: whoever asked for it has to do with them. */
const CLIENT_CODES = new Set([
  'CANCELLED',
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNAUTHENTICATED',
]);

/** What failures are called, by their reason: of whom it is said where it is no backend, and what. */
const REASONS = {
  backend_connect: ['A backend', 'cannot be reached'],
  backend_connection_lost: ['A backend', 'lost its connection'],
  backend_reset: ['A backend', 'resets calls'],
  backend_protocol: ['A backend', 'breaks the protocol'],
  secondary: ['A secondary', 'fails'],
  director: ['The director', 'fails'],
  interceptor: ['An interceptor', 'fails'],
  handler: ['A handler', 'fails'],
  finalizer: ['A finalizer', 'fails'],
  limit: ['A limit', 'is exceeded'],
  draining: ['The proxy', 'is shutting down'],
  no_route: ['No route', 'takes these calls'],
  rejected: ['A route', 'refuses calls'],
  client_cancelled: ['Clients', 'cancel calls'],
  client_gone: ['Clients', 'go away'],
  client_protocol: ['Clients', 'break the protocol'],
};

const QUIET = new Set(['no_route', 'rejected', 'client_cancelled', 'client_gone', 'client_protocol']);
const BY_CODE = new Set(['backend_status', 'director', 'interceptor', 'handler', 'finalizer']);

/** Who fails, what it does, and whether it is nobody's business at night. */
export function explained(failure, nameOf) {
  const { reason, code, targets, effect } = failure;
  const names = targets.map(nameOf).join(', ');
  const [who, what] = sentence(failure, names !== '');
  return {
    who: names || who,
    what: effect === 'ignored' ? `${what}, which is ignored` : what,
    tag: what.includes(code) ? reason : `${code} · ${reason}`,
    quiet: QUIET.has(reason) || (BY_CODE.has(reason) && CLIENT_CODES.has(code)),
  };
}

function sentence({ reason, code }, hasTargets) {
  if (reason === 'backend_status') return ['A backend', `answers ${code}`];
  if (reason === 'deadline') {
    return hasTargets ? ['', 'does not answer in time'] : ['Calls', 'run out of time'];
  }
  return REASONS[reason] ?? ['A call', 'fails'];
}

/** A method; what has no row of its own is in one together. */
export function methodName(method) {
  return method === 'other' ? 'other methods' : plain(method);
}
