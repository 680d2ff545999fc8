import { chart, drawCalls, drawLatencies } from './charts.js';
import { element, List, setName, setText, Table, textCell, unitCell } from './tables.js';
import {
  bytes,
  count,
  duration,
  explained,
  latency,
  methodName,
  percent,
  plain,
  rate,
  STATES,
  time,
} from './words.js';

/** Updates come every second: if there is none for so long, nobody sends them. */
const SILENCE_MILLISECONDS = 5000;
/** How soon it is tried again where the browser does not do so by itself. */
const RETRY_MILLISECONDS = 2000;
/** What is called the rate is the mean of so many seconds. */
const RATE_SECONDS = 10;
/** A failure that was not seen for so long is over. */
const CURRENT_MILLISECONDS = 30_000;
/** How often rows change places. */
const SORT_MILLISECONDS = 5000;

const $ = (id) => document.getElementById(id);

/* What is seen of the connection to the proxy. */

let events;
let heardAt = 0;
let lostAt;
let isPaused = false;
let latest;

function connect() {
  events?.close();
  events = new EventSource('events');
  events.addEventListener('message', ({ data }) => {
    heardAt = Date.now();
    lostAt = undefined;
    latest = JSON.parse(data);
    if (!isPaused) show(latest);
    showConnection();
  });
  events.addEventListener('error', () => {
    lose();
    // A browser does not come back by itself after an answer that is none.
    if (events.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MILLISECONDS);
  });
}

function lose() {
  lostAt ??= heardAt || Date.now();
  showConnection();
}

setInterval(() => {
  if (lostAt === undefined && heardAt > 0 && Date.now() - heardAt > SILENCE_MILLISECONDS) lose();
}, 1000);

function showConnection() {
  const isLost = lostAt !== undefined;
  document.body.classList.toggle('stale', isLost);
  $('lost').hidden = !isLost;
  if (isLost) {
    const kept = heardAt > 0 ? ' What is shown here is from then.' : '';
    setText($('lost'), `Disconnected since ${time(lostAt)}.${kept} Trying to connect again.`);
  }
  showState(isLost ? 'lost' : isPaused ? 'paused' : undefined);
}

function showState(own) {
  const state = $('state');
  const { ready } = latest ?? {};
  const [is, text] =
    own === 'lost'
      ? ['lost', 'Disconnected']
      : own === 'paused'
        ? ['paused', 'Paused']
        : ready === undefined
          ? ['connecting', 'Connecting']
          : ready.ready
            ? ['ready', 'Ready']
            : ['unready', `Not ready: ${plain(ready.reason)}`];
  state.dataset.is = is;
  setText(state, text);
}

$('pause').addEventListener('click', () => {
  isPaused = !isPaused;
  $('pause').setAttribute('aria-pressed', String(isPaused));
  if (!isPaused && latest !== undefined) show(latest);
  showConnection();
});

/* In short. */

const rateChart = chart(['calls', 'failed']);
$('rate-chart').append(rateChart);
const latencyChart = chart(['p99', 'p95', 'p50']);
$('latency-chart').append(latencyChart);

function lastSum(history) {
  return history.slice(-RATE_SECONDS).reduce((sum, each) => sum + each, 0);
}

function perSecond({ callsBySecond }, { at, since }) {
  const seconds = Math.max(1, Math.min(RATE_SECONDS, Math.floor((at - (since ?? at)) / 1000)));
  return lastSum(callsBySecond) / seconds;
}

/** Of the last seconds, or, where there were no calls in these, of the minute. */
function failingPart({ callsBySecond, failedBySecond, lastCalls, lastFailed }) {
  const calls = lastSum(callsBySecond);
  return calls > 0 ? [lastSum(failedBySecond), calls] : [lastFailed, lastCalls];
}

function showFigures(state) {
  const { all, backends, running } = state;
  setText($('rate'), rate(perSecond(all, state)));
  drawCalls(rateChart, all.callsBySecond, all.failedBySecond);
  const [failed, calls] = failingPart(all);
  setText($('failing'), percent(failed, calls));
  $('failing').dataset.is = failed > 0 ? 'bad' : 'good';
  setText($('failing-note'), `${count(all.lastFailed)} of ${count(all.lastCalls)} in a minute`);
  $('latency').replaceChildren(...latencyParts(all.latency));
  drawLatencies(latencyChart, all.latencies);
  setText($('running'), count(running));
  const oldest = state.calls[0];
  setText($('running-note'), oldest === undefined ? '' : `longest ${duration(oldest.durationMs)}`);
  const ready = backends.filter((backend) => backend.state === 'READY').length;
  setText($('reachable'), backends.length === 0 ? '–' : `${ready} of ${backends.length}`);
  const [is, note] = troubleOf(backends);
  $('reachable').dataset.is = is;
  setText($('reachable-note'), note);
}

function troubleOf(backends) {
  const down = backends.filter(({ state }) => state === 'TRANSIENT_FAILURE');
  if (down.length > 0) return ['bad', `failing: ${down.map(({ name }) => plain(name)).join(', ')}`];
  const isDown = ({ state, ejected }) => ejected || state === 'TRANSIENT_FAILURE';
  const part = backends.find(({ addresses }) => addresses.some(isDown));
  if (part === undefined) return ['good', ''];
  return [
    'warn',
    `${plain(part.name)}: ${part.addresses.filter(isDown).length} of ${part.addresses.length} addresses fail`,
  ];
}

function latencyParts(percentiles) {
  if (percentiles === null) return ['–'];
  const all = percentiles.map(latency);
  return all.flatMap(([text, unit], index) => {
    // A unit that all have is said once.
    const isSaid = all[index + 1]?.[1] === unit;
    const parts = isSaid ? [text] : [text, element('span', { class: 'unit' }, `\u2009${unit}`)];
    return index === 0 ? parts : [element('span', { class: 'slash' }, ' / '), ...parts];
  });
}

/* Failures. */

/** Names by target: what an operator knows a backend by. */
let names = new Map();

function nameOf(target) {
  return plain(names.get(target) ?? target);
}

const current = new List($('failures'), failureItem);
const past = new List($('earlier-failures'), failureItem);
/** Those that have been told, so that each is told once. */
let told;

function showFailures(state) {
  names = new Map(state.backends.map(({ name, target }) => [target, name]));
  const all = [...state.failures.map((failure) => seen(failure, state.at)), ...unusedBackends(state)];
  all.sort((a, b) => Number(a.quiet) - Number(b.quiet) || b.firstAt - a.firstAt || (a.key < b.key ? -1 : 1));
  const isCurrent = ({ lastMilliseconds }) => lastMilliseconds < CURRENT_MILLISECONDS;
  const now = all.filter(isCurrent);
  const earlier = all.filter((each) => !isCurrent(each));
  earlier.sort((a, b) => a.lastMilliseconds - b.lastMilliseconds);
  $('failures-none').hidden = now.length > 0;
  setText($('failures-none'), noFailures(earlier[0], state));
  current.show(now.map((each) => [each.key, each]));
  past.show(earlier.map((each) => [each.key, each]));
  $('earlier').hidden = earlier.length === 0;
  setText($('earlier-title'), `Earlier: ${count(earlier.length)}`);
  const loud = now.filter(({ quiet }) => !quiet);
  document.title = loud.length > 0 ? `(${loud.length} failing) grpc-frame-proxy` : 'grpc-frame-proxy';
  const icon = loud.length > 0 ? 'icon-failing.svg' : 'icon.svg';
  if ($('icon').getAttribute('href') !== icon) $('icon').setAttribute('href', icon);
  for (const key of beginnings.keys()) if (!all.some((each) => each.key === key)) beginnings.delete(key);
  tellNew(now);
}

function noFailures(last, { at, since }) {
  if (last !== undefined)
    return `Nothing fails now. The last failure was ${duration(last.lastMilliseconds)} ago.`;
  return since === undefined
    ? 'Calls are not counted here.'
    : `Nothing has failed since ${time(since)}, for ${duration(at - since)}.`;
}

/** When failures began, by key: two looks at it differ by milliseconds, but it is one time. */
const beginnings = new Map();

function beginningOf(key, firstAt) {
  const known = beginnings.get(key);
  if (known === undefined || Math.abs(known - firstAt) > 2) beginnings.set(key, firstAt);
  return beginnings.get(key);
}

function seen(failure, at) {
  const { effect, reason, code, route, targets, methods, firstMilliseconds } = failure;
  const method = reason === 'backend_connect' || reason === 'backend_connection_lost' ? '' : methods[0];
  const key = JSON.stringify([effect, reason, code, route, targets, method]);
  const firstAt = beginningOf(key, Math.floor((at - firstMilliseconds) / 1000));
  return { ...failure, ...explained(failure, nameOf), key, firstAt };
}

/** Backends that fail though no call has found out: they will fail the next. */
function unusedBackends({ backends, failures }) {
  const known = new Set(
    failures
      .filter(({ lastMilliseconds }) => lastMilliseconds < CURRENT_MILLISECONDS)
      .flatMap(({ targets }) => targets),
  );
  return backends
    .filter(({ state, target }) => state === 'TRANSIENT_FAILURE' && !known.has(target))
    .map(({ name, target, addresses }) => ({
      key: `backend ${name}`,
      who: plain(name),
      what: 'cannot be reached',
      quiet: false,
      tag: 'no call has tried it of late',
      route: null,
      targets: [target],
      methods: [],
      count: 0,
      message: addresses.find(({ lastError }) => lastError !== null)?.lastError ?? '',
      firstAt: undefined,
      lastMilliseconds: 0,
    }));
}

function failureItem() {
  const who = element('b');
  const what = document.createTextNode('');
  const code = element('span', { class: 'code' });
  const title = element('p', { class: 'what' }, who, what, code);
  const message = element('p', { class: 'message' });
  const where = element('p', { class: 'where' });
  const since = element('dd');
  const last = element('dd');
  const times = element('dd');
  const facts = element(
    'dl',
    { class: 'facts' },
    element('div', {}, element('dt', {}, 'Since'), since),
    element('div', {}, element('dt', {}, 'Last'), last),
    element('div', {}, element('dt', {}, 'Calls'), times),
  );
  const node = element('li', {}, element('div', { class: 'story' }, title, message, where), facts);
  return {
    node,
    update(failure) {
      node.classList.toggle('quiet', failure.quiet);
      setText(who, failure.who);
      if (what.data !== ` ${failure.what}`) what.data = ` ${failure.what}`;
      setText(code, failure.tag);
      setText(message, plain(failure.message));
      message.hidden = failure.message === '';
      setText(where, placesOf(failure));
      where.hidden = where.textContent === '';
      setText(since, failure.firstAt === undefined ? '–' : sinceOf(failure));
      setText(last, failure.count === 0 ? '–' : `${duration(failure.lastMilliseconds)} ago`);
      setText(times, count(failure.count));
    },
  };
}

function sinceOf({ firstAt, firstMilliseconds }) {
  return `${time(firstAt * 1000)} (${duration(firstMilliseconds)})`;
}

function placesOf({ methods, route, targets, who }) {
  const parts = methods.map(methodName);
  if (methods.length >= 5) parts.push('and others');
  const places = parts.length > 0 ? [parts.join(', ')] : [];
  if (route !== null) places.push(`route ${plain(route)}`);
  const at = targets.map(plain).join(', ');
  if (at !== '' && at !== who) places.push(`at ${at}`);
  return places.join(' · ');
}

function tellNew(failures) {
  const loud = failures.filter(({ quiet }) => !quiet);
  const fresh = told === undefined ? [] : loud.filter(({ key }) => !told.has(key));
  told = new Set(loud.map(({ key }) => key));
  if (fresh.length === 0) return;
  const [{ who, what }] = fresh;
  const more = fresh.length > 1 ? `, and ${fresh.length - 1} more failures` : '';
  setText($('news'), `New failure: ${who} ${what}${more}`);
}

/* Tables. */

function nameCell(nameOf, detailOf) {
  return (cell) => {
    const name = element('span', { class: 'name' });
    const detail = element('span', { class: 'detail' });
    cell.append(name, detail);
    return (item) => {
      setName(name, nameOf(item));
      setText(detail, detailOf(item));
    };
  };
}

function chartCell(names, drawing) {
  return (cell) => {
    const svg = chart(names);
    cell.append(svg);
    return (item) => drawing(svg, item);
  };
}

function markedCell(textOf, isOf) {
  return (cell) => (item) => {
    setText(cell, textOf(item));
    cell.dataset.is = isOf(item);
  };
}

const backendTable = new Table($('backends'), {
  title: 'Backends',
  note: 'each address with its connections, running calls and last failure',
  none: 'No backends are known here.',
  columns: [
    { title: 'Backend', make: backendCell },
    { title: 'Address', kind: 'text wide', make: textCell(({ address }) => plain(address)) },
    {
      title: 'State',
      kind: 'text half',
      make: markedCell(
        ({ state, ejected }) => (ejected ? `${STATES[state]}, ejected` : STATES[state]),
        gradeOf,
      ),
    },
    { title: 'Connections', kind: 'number half', make: textCell(({ connections }) => count(connections)) },
    { title: 'Calls', kind: 'number half', make: textCell(({ calls }) => count(calls)) },
    { title: 'Last failure', kind: 'text long', make: textCell(lastErrorOf) },
  ],
});

/** Further addresses of a backend stand below its name. */
function backendCell(cell, _item, row) {
  const show = nameCell(
    ({ name }) => plain(name),
    ({ detail }) => plain(detail),
  )(cell);
  return (item) => {
    show(item);
    row.classList.toggle('further', item.isFurther);
  };
}

function lastErrorOf({ lastError, errorAge }) {
  return lastError === null ? '–' : `${duration(errorAge)} ago: ${plain(lastError)}`;
}

/** One that has a connection now may have lost another a moment ago. */
function gradeOf({ state, ejected, errorAge }) {
  if (state === 'TRANSIENT_FAILURE') return 'bad';
  if (ejected || errorAge < CURRENT_MILLISECONDS) return 'warn';
  return state === 'READY' ? 'good' : '';
}

const NO_ADDRESS = {
  address: '–',
  connections: 0,
  calls: 0,
  ejected: false,
  lastError: null,
  lastErrorAt: null,
};

function showBackends({ at, backends, moreBackends }) {
  const rows = backends.flatMap((backend) => {
    const { name, state, addresses, moreAddresses } = backend;
    const listed = addresses.length > 0 ? [...addresses] : [{ ...NO_ADDRESS, state }];
    if (moreAddresses > 0) listed.push({ ...NO_ADDRESS, state, address: `and ${count(moreAddresses)} more` });
    return listed.map((address, index) => [
      JSON.stringify([name, address.address]),
      {
        ...address,
        name,
        detail: index === 0 ? detailOf(backend) : '',
        isFurther: index > 0,
        errorAge: address.lastErrorAt === null ? undefined : at - Date.parse(address.lastErrorAt),
      },
    ]);
  });
  if (moreBackends > 0) {
    const rest = { ...NO_ADDRESS, name: `and ${count(moreBackends)} more`, detail: '', state: 'IDLE' };
    rows.push(['more', { ...rest, isFurther: false }]);
  }
  backendTable.show(rows);
}

/** Where it is, unless its addresses say the same, and how calls are spread over several. */
function detailOf({ target, loadBalancing, addresses, moreAddresses }) {
  const known = new Set(addresses.map(({ address }) => address));
  const isSaid =
    moreAddresses === 0 && target.split(',').every((part) => known.has(part.replace(/^http:\/\//, '')));
  const parts = isSaid ? [] : [target];
  if (addresses.length > 1) parts.push(loadBalancing.replace('_', ' '));
  return parts.join(' · ');
}

const methodTable = new Table($('methods'), {
  title: 'Methods',
  note: 'calls, failures and latency of the last minute, and all since counting began',
  none: 'No calls have ended yet.',
  columns: [
    {
      title: 'Method',
      make: nameCell(
        ({ method }) => methodName(method),
        ({ route }) => (route === null ? '' : `route ${plain(route)}`),
      ),
    },
    { title: 'Calls/s', kind: 'number', make: textCell(({ perSecond }) => rate(perSecond)) },
    {
      title: 'Last minute',
      kind: 'chart broad',
      make: chartCell(['calls', 'failed'], (svg, item) =>
        drawCalls(svg, item.callsBySecond, item.failedBySecond),
      ),
    },
    {
      title: 'Failing',
      kind: 'number',
      make: markedCell(
        ({ failing: [failed, calls] }) => (calls === 0 ? '–' : percent(failed, calls)),
        ({ failing: [failed] }) => (failed > 0 ? 'bad' : ''),
      ),
    },
    { title: 'p50', kind: 'number', make: unitCell(({ latency: all }) => latency(all?.[0])) },
    { title: 'p95', kind: 'number', make: unitCell(({ latency: all }) => latency(all?.[1])) },
    { title: 'p99', kind: 'number', make: unitCell(({ latency: all }) => latency(all?.[2])) },
    {
      title: 'Latency',
      kind: 'chart',
      make: chartCell(['p99', 'p95', 'p50'], (svg, item) => drawLatencies(svg, item.latencies)),
    },
    { title: 'All', kind: 'number', make: textCell(({ calls }) => count(calls)) },
    { title: 'Failed', kind: 'number', make: textCell(({ failed }) => count(failed)) },
    { title: 'Cancelled', kind: 'number', make: textCell(({ cancelled }) => count(cancelled)) },
  ],
});

let order = new Map();
let sortedAt = 0;
let failingKeys = new Set();

function showMethods(state) {
  const rows = state.methods.map((each) => {
    const key = JSON.stringify([each.route, each.method]);
    return [key, { ...each, perSecond: perSecond(each, state), failing: failingPart(each) }];
  });
  const failing = new Set(rows.filter(([, { lastFailed }]) => lastFailed > 0).map(([key]) => key));
  const hasNews = [...failing].some((key) => !failingKeys.has(key));
  // Rows that change places all the time cannot be read; but what begins to fail is to be seen at once.
  if ((hasNews || Date.now() - sortedAt > SORT_MILLISECONDS) && !methodTable.isInUse) {
    order = new Map(rows.map(([key], index) => [key, index]));
    sortedAt = Date.now();
    failingKeys = failing;
  }
  const place = (key) => order.get(key) ?? Number.MAX_SAFE_INTEGER;
  rows.sort(([a], [b]) => place(a) - place(b));
  methodTable.show(rows);
}

const callTable = new Table($('calls'), {
  title: 'Running calls',
  note: 'the longest first',
  none: 'No calls are running.',
  columns: [
    {
      title: 'Method',
      make: nameCell(
        ({ method }) => methodName(method),
        ({ peer }) => (peer === '' ? '' : `from ${plain(peer)}`),
      ),
    },
    { title: 'Running for', kind: 'number', make: textCell(({ durationMs }) => duration(durationMs)) },
    { title: 'State', make: textCell(({ state }) => state) },
    {
      title: 'Primary',
      kind: 'text wide',
      make: textCell(({ primary }) => (primary === null ? '–' : nameOf(primary))),
    },
    {
      title: 'Received',
      kind: 'number half',
      make: textCell((call) => amount(call.messagesReceived, call.bytesReceived)),
    },
    {
      title: 'Sent',
      kind: 'number half',
      make: textCell((call) => amount(call.messagesSent, call.bytesSent)),
    },
  ],
});

function amount(messages, size) {
  return `${count(messages)} msg, ${bytes(size)}`;
}

function showCalls({ calls }) {
  const seenKeys = new Map();
  callTable.show(
    calls.map((call) => {
      const name = JSON.stringify([call.startedAt, call.method, call.peer]);
      const twin = seenKeys.get(name) ?? 0;
      seenKeys.set(name, twin + 1);
      return [`${name} ${twin}`, call];
    }),
  );
}

const shadowTable = new Table($('shadows'), {
  title: 'Shadows',
  note: 'what became of calls to them, and how their answers compare with the primary’s',
  none: '',
  columns: [
    {
      title: 'Target',
      make: nameCell(
        ({ target }) => nameOf(target),
        ({ role }) => role,
      ),
    },
    ...['ok', 'error', 'lagged', 'expired', 'cancelled'].map((result) => ({
      title: { ok: 'OK', error: 'Failed', lagged: 'Lagged', expired: 'Expired', cancelled: 'Cancelled' }[
        result
      ],
      kind: 'number',
      make: markedCell(
        ({ results }) => count(results[result]),
        ({ results }) =>
          results[result] > 0 && ['error', 'lagged', 'expired'].includes(result) ? 'warn' : '',
      ),
    })),
    ...['same', 'different', 'inconclusive'].map((result) => ({
      title: { same: 'Same', different: 'Different', inconclusive: 'Unclear' }[result],
      kind: 'number',
      make: markedCell(
        ({ compared }) => count(compared[result]),
        ({ compared }) => (compared[result] > 0 && result === 'different' ? 'warn' : ''),
      ),
    })),
    { title: 'Last', kind: 'text long', make: textCell(lastOfShadow) },
  ],
});

function lastOfShadow({ lastFailure, lastDifference }) {
  const texts = [lastDifference, lastFailure]
    .filter((one) => one !== null)
    .sort((a, b) => a.milliseconds - b.milliseconds)
    .map(
      ({ text, method, milliseconds }) => `${duration(milliseconds)} ago: ${plain(method)}, ${plain(text)}`,
    );
  return texts[0] ?? '–';
}

function showShadows({ shadows }) {
  $('shadows').hidden = shadows.length === 0;
  shadowTable.show(shadows.map((each) => [JSON.stringify([each.role, each.target]), each]));
}

/* All of it. */

function show(state) {
  $('main').removeAttribute('aria-busy');
  setText($('clock'), time(state.at));
  showFigures(state);
  showFailures(state);
  showBackends(state);
  showMethods(state);
  showCalls(state);
  showShadows(state);
  showFoot(state);
}

const paths = new List($('paths'), (path) => {
  const link = element('a', { href: path.slice(1) }, path);
  return { node: element('li', {}, link), update() {} };
});

function showFoot({ since, at, paths: known, moreMethods, moreCalls }) {
  const left = [
    since === undefined ? '' : `Counting since ${time(since)}, for ${duration(at - since)}.`,
    moreMethods > 0 ? `${count(moreMethods)} more methods are not shown.` : '',
    moreCalls > 0 ? `${count(moreCalls)} more calls are running.` : '',
  ];
  setText($('since'), left.filter((text) => text !== '').join(' '));
  paths.show([...known, '/readyz'].map((path) => [path, path]));
}

connect();
