import type { Test } from 'tap';
import { parseTimeout } from '../../lib/grpc/timeout.js';
import {
  Code,
  type Metadata,
  registerStreamHandlers,
  StatusError,
  transparentHandler,
} from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import {
  type Ending,
  FieldBackend,
  FieldTraffic,
  PLACES,
  type Place,
  type Seen,
} from '../support/field-traffic.js';
import { type Group, ODD_FIELDS } from '../support/odd-fields.js';
import { ProcessEvents } from '../support/process-events.js';
import { within } from '../support/within.js';

// Whatever fields a peer sends, wherever it puts them: the call ends, and nothing else does.

/** What handlers here answer with the client's own metadata, and how that ends. */
const ECHOES: Record<string, Ending> = {
  headers: 'grpc 0',
  trailers: 'grpc 0',
  'trailers-only': 'grpc 0',
  error: 'grpc 5',
  'late-error': 'grpc 5',
};

const MESSAGE = Buffer.from('hi');

interface Peers {
  readonly events: ProcessEvents;
  readonly backend: FieldBackend;
  readonly traffic: FieldTraffic;
}

/** A proxy between a backend and a client, with handlers beside that answer with the metadata they are asked with. */
async function setUp(t: Test, world: World): Promise<Peers> {
  const events = new ProcessEvents(t);
  const backend = await FieldBackend.start(world);
  const conn = world.dial(backend.port);
  // So that metadata is made of what comes back.
  const look = (metadata: Metadata): unknown => [...metadata];
  const unknownServiceHandler = transparentHandler(() => ({
    primary: { conn, observer: { onHeaders: look, onStatus: (_error, trailers) => look(trailers) } },
  }));
  const proxy = await world.serve({ unknownServiceHandler }, (server) => {
    registerStreamHandlers(server, 'test.Echo', {
      headers: async (stream) => {
        stream.sendHeader(stream.context.metadata);
        await stream.sendMessage(MESSAGE);
      },
      trailers: async (stream) => {
        await stream.sendMessage(MESSAGE);
        stream.setTrailer(stream.context.metadata);
      },
      'trailers-only': (stream) => stream.setTrailer(stream.context.metadata),
      error: (stream) => {
        throw new StatusError(Code.NOT_FOUND, 'not here', stream.context.metadata);
      },
      'late-error': async (stream) => {
        await stream.sendMessage(MESSAGE);
        throw new StatusError(Code.NOT_FOUND, 'not here', stream.context.metadata);
      },
    });
  });
  return { events, backend, traffic: await FieldTraffic.start(world, proxy.port, backend) };
}

/** The process was told of nothing, and neither side's connection was lost. */
async function expectUnharmed(t: Test, { events, backend, traffic }: Peers): Promise<void> {
  t.equal((await traffic.call('trailers', [])).ending, 'grpc 0', 'a call on the same connection is as ever');
  await events.settled();
  t.strictSame(events.fatal, [], 'nothing that ends a process');
  t.strictSame(events.warnings, []);
  t.equal(backend.connections, 1, 'connections to the backend');
}

/** What is wrong with how a call has ended. */
function wrongEnding({ ends }: Group, asEver: Ending, refused: Ending, ending: Ending): string | undefined {
  const expected = { 'as ever': [asEver], refused: [refused], 'as ever or refused': [asEver, refused] }[ends];
  return expected.includes(ending) ? undefined : `${ending} in place of ${expected.join(' or ')}`;
}

/** What is wrong with what came of a field on the other side. */
function wrongArrival({ arrives }: Group, name: string, sent: string[], seen: string[]): string | undefined {
  const received = valuesOf(seen, name);
  switch (arrives) {
    case 'always': {
      // Node 20 cannot send all of them apart; joined is the same by the specification.
      const expected = sent.join();
      return received.join() === expected ? undefined : `arrived as ${JSON.stringify(received)}`;
    }
    case 'never':
      return received.length === 0 || name.startsWith(':') ? undefined : 'arrived';
    case 'unasked':
      return undefined;
  }
}

function valuesOf(list: readonly string[], name: string): string[] {
  return list.filter((_text, i) => i % 2 === 1 && list[i - 1] === name);
}

/** What the other side has got in the place where fields were put; undefined for request trailers, which go nowhere. */
function arrivalsAt(place: Place, { client, backend }: Seen): string[] | undefined {
  switch (place) {
    case 'request headers':
      return backend?.lists[0] ?? [];
    case 'request trailers':
      return undefined;
    case 'response headers':
    case 'Trailers-Only':
      return client.lists[0] ?? [];
    case 'trailers':
    case 'error trailers':
      return client.lists.at(-1) ?? [];
  }
}

/** Makes a call with the same fields in every place, all at a time, and says what is wrong. */
async function everywhere(
  traffic: FieldTraffic,
  group: Group,
  name: string,
  values: string[],
): Promise<string[]> {
  const fields = values.flatMap((value) => [name, value]);
  const proxied = PLACES.map(async (place) => {
    const seen = await traffic.call(place, fields);
    const refused = place.startsWith('request') ? 'reset 1' : 'grpc 13';
    const list = arrivalsAt(place, seen);
    return [
      place,
      wrongEnding(group, place === 'error trailers' ? 'grpc 5' : 'grpc 0', refused, seen.ending),
      list && wrongArrival(group, name, values, list),
    ];
  });
  const echoed = Object.entries(ECHOES).map(async ([method, asEver]) => {
    const { ending } = await traffic.send(`/test.Echo/${method}`, fields);
    return [`echoed as ${method}`, wrongEnding(group, asEver, 'reset 1', ending)];
  });
  const results = await within(2000, `${name} everywhere`, Promise.all([...proxied, ...echoed]));
  return results.flatMap(([where, ...wrong]) =>
    wrong
      .filter((text) => text !== undefined)
      .map((text) => `${JSON.stringify(fields).slice(0, 60)}, ${where}: ${text}`),
  );
}

for (const [title, group] of Object.entries(ODD_FIELDS)) {
  behaviour(`${title}: calls end, ${group.ends}, and nothing else does`, async (t, world) => {
    const peers = await setUp(t, world);
    const wrong: string[] = [];
    for (const [name, first, second = first] of group.fields) {
      wrong.push(...(await everywhere(peers.traffic, group, name, [first])));
      wrong.push(...(await everywhere(peers.traffic, group, name, [first, second])));
    }
    t.strictSame(wrong, []);
    await expectUnharmed(t, peers);
  });
}

behaviour('more DATA than content-length says ends the call, and the next one succeeds', async (t, world) => {
  // From Node 26 on, if not before, node:http2 ends the connection for it (NODE-HTTP2.md, "Fields").
  for (const place of ['request headers', 'response headers'] as const) {
    const peers = await setUp(t, world);
    const { ending } = await within(2000, place, peers.traffic.call(place, ['content-length', '0']));
    t.match(ending, place === 'request headers' ? /^(reset 1|lost)$/ : /^grpc 1[34]$/);
    const next = await within(2000, 'the next call', (await peers.traffic.again()).call('trailers', []));
    t.equal(next.ending, 'grpc 0');
    await peers.events.settled();
    t.strictSame(peers.events.fatal, []);
    t.strictSame(peers.events.warnings, []);
  }
});

/** The values of `grpc-status` in trailers, and how the call ends. */
const STATUSES: readonly (readonly [values: readonly string[], ending: Ending])[] = [
  [['0'], 'grpc 0'],
  [['0', '0'], 'grpc 0'],
  [['5', '5'], 'grpc 5'],
  // What gRPC does not know is passed on.
  [['77'], 'grpc 77'],
  [['99999999999999999999'], 'grpc 99999999999999999999'],
  ...[[], ['0', '5'], ['5', '0'], ['0', 'nonsense']].map((values) => [values, 'grpc 2'] as const),
  ...['', 'nonsense', '-1', '+0', '0x0', '0,0', '0.0', '1e1', '\u00b2'].map(
    (text) => [[text], 'grpc 2'] as const,
  ),
];

behaviour('a grpc-status that is missing, malformed or ambiguous is UNKNOWN, never OK', async (t, world) => {
  const peers = await setUp(t, world);
  for (const [values, expected] of STATUSES) {
    const fields = values.flatMap((value) => ['grpc-status', value]);
    for (const place of ['trailers', 'Trailers-Only'] as const) {
      const { ending } = await within(2000, place, peers.traffic.call(place, [], fields));
      t.equal(ending, expected, `${JSON.stringify(values)} in ${place}`);
    }
  }
  await expectUnharmed(t, peers);
});

behaviour('of several timeouts, one reaches the backend, as what remains of it', async (t, world) => {
  const peers = await setUp(t, world);
  const { ending, backend } = await peers.traffic.call('request headers', [
    ...['grpc-timeout', '5S'],
    ...['grpc-timeout', '6S'],
  ]);
  t.equal(ending, 'grpc 0');
  const timeouts = valuesOf(backend?.lists[0] ?? [], 'grpc-timeout').map(parseTimeout);
  t.equal(timeouts.length, 1);
  t.ok((timeouts[0] ?? Infinity) <= 5000, `${timeouts[0]} ms`);
  await expectUnharmed(t, peers);
});
