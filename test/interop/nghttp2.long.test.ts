import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { encodeMessage } from '../../lib/index.js';
import { behaviour, type World } from '../support/behaviour.js';
import { Child } from '../support/child.js';
import { freePort } from '../support/free-port.js';
import { missing } from '../support/missing.js';

// The programs of nghttp2 as clients, as a backend, and as proxies on both sides of this one.

/** With an ending, by which nghttpd knows the content-type. */
const METHOD = 'test.Service/Echo.grpc';
const GRPC = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
/** More than a frame: HEADERS needs CONTINUATION. */
const LARGE = 'x'.repeat(20_000);

/** Starts a program that listens at a port of its own, and waits until it does. */
async function serve(t: Test, program: string, argumentsFor: (port: number) => string[]): Promise<number> {
  const port = await freePort();
  const child = Child.start(t, program, ...argumentsFor(port));
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}: ${child.stderr}`);
    await sleep(10);
  }
  return port;
}

async function accepts(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Runs a program to its end; what it printed. */
async function output(t: Test, program: string, ...programArguments: string[]): Promise<string> {
  const child = Child.start(t, program, ...programArguments);
  await child.ended();
  return child.stdout;
}

/** A message of this length, and a directory of files: the message as a request, and what else programs read. */
function prepare(t: Test, length: number): { message: Buffer; directory: string; file: string } {
  const message = encodeMessage(Buffer.alloc(length, 'm'));
  const directory = t.testdir({
    request: message,
    'nghttpx.conf': '',
    'mime.types': 'application/grpc grpc\n',
    'test.Service': { 'Echo.grpc': message },
  });
  return { message, directory, file: join(directory, 'request') };
}

/** A proxy before a backend that sends back what it gets. */
async function echoProxy(world: World): Promise<number> {
  const backend = await world.http2Backend(({ stream }) => {
    stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.pipe(stream);
  });
  const conn = world.dial(backend.port);
  return (await world.proxy(() => ({ primary: { conn } }))).port;
}

function nghttpx(t: Test, directory: string, backendPort: number): Promise<number> {
  return serve(t, 'nghttpx', (port) => [
    `--conf=${join(directory, 'nghttpx.conf')}`,
    '--single-process',
    `--frontend=127.0.0.1,${port};no-tls`,
    `--backend=127.0.0.1,${backendPort};;proto=h2`,
    '--log-level=ERROR',
    '--errorlog-file=/dev/null',
    '--accesslog-file=/dev/null',
  ]);
}

behaviour(
  'not one of 4000 calls of h2load fails',
  async (t, world) => {
    const port = await echoProxy(world);
    const { file, message } = prepare(t, 100);
    const url = `http://127.0.0.1:${port}/${METHOD}`;
    const printed = await output(t, 'h2load', '-n', '4000', '-c', '4', '-m', '25', '-d', file, ...GRPC, url);
    t.match(printed, /4000 succeeded, 0 failed, 0 errored, 0 timeout/);
    t.match(printed, new RegExp(`\\(${4000 * message.length}\\) data`), 'with all their bytes');
  },
  missing('h2load'),
);

behaviour(
  'nghttp calls with padding, CONTINUATION and trailers',
  async (t, world) => {
    const port = await echoProxy(world);
    const { file, message } = prepare(t, 50_000);
    const printed = await output(
      t,
      'nghttp',
      ...['--padding=255', '--continuation', '--trailer', 'x-last: 1', '-H', `x-large: ${LARGE}`],
      ...['-d', file, ...GRPC, `http://127.0.0.1:${port}/${METHOD}`],
    );
    t.equal(printed, message.toString());
  },
  missing('nghttp'),
);

behaviour(
  'nghttpd answers with padding, CONTINUATION and trailers, through nghttpx on both sides',
  async (t, world) => {
    const { message, directory, file } = prepare(t, 300_000);
    const backendPort = await serve(t, 'nghttpd', (port) => [
      ...['--no-tls', '--address=127.0.0.1', `--htdocs=${directory}`, '--padding=200'],
      `--mime-types-file=${join(directory, 'mime.types')}`,
      ...['--trailer', 'grpc-status: 0', '--trailer', `x-large: ${LARGE}`],
      `${port}`,
    ]);
    for (const through of [async (port: number) => port, (port: number) => nghttpx(t, directory, port)]) {
      const conn = world.dial(await through(backendPort));
      const { port } = await world.proxy(() => ({ primary: { conn } }));
      const url = `http://127.0.0.1:${await through(port)}/${METHOD}`;
      const printed = await output(t, 'nghttp', '--padding=100', '-d', file, ...GRPC, url);
      t.ok(printed === message.toString(), `${printed.length} of ${message.length} bytes`);
    }
  },
  missing('nghttp', 'nghttpd', 'nghttpx'),
);
