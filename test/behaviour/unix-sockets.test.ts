import { once } from 'node:events';
import { linkSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { Server } from '../../lib/index.js';
import { TRANSPORT_NAMES, type TransportName } from '../../lib/transport/transport-name.js';
import { Child } from '../support/child.js';

/** A folder with a dead socket in it: its process was killed. */
async function folderWithDeadSocket(t: Test): Promise<{ folder: string; dead: string }> {
  const folder = mkdtempSync(path.join(tmpdir(), 'unix-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const dead = path.join(folder, 'dead');
  const program = `net.createServer().listen(${JSON.stringify(dead)}, () => process.kill(process.pid, 'SIGKILL'))`;
  t.equal(await Child.node(t, '-e', program).ended(), null, 'it was killed');
  return { folder, dead };
}

function newServer(t: Test, transport: TransportName): Server {
  const server = new Server({ transport });
  t.teardown(() => server.destroy());
  return server;
}

/** `listens`, or the error's code. */
function listen(server: Server, file: string): Promise<string> {
  return server.listen({ path: file }).then(
    () => 'listens',
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
}

/** `open`, or the error's code. */
async function connect(file: string): Promise<string> {
  const socket = net.connect(file);
  try {
    await once(socket, 'connect');
    return 'open';
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  } finally {
    socket.destroy();
  }
}

for (const transport of TRANSPORT_NAMES) {
  t.test(`a dead socket is replaced, and the path is free again after close() [${transport}]`, async (t) => {
    const { folder, dead } = await folderWithDeadSocket(t);
    t.equal(await connect(dead), 'ECONNREFUSED');
    const server = newServer(t, transport);
    t.equal(await listen(server, dead), 'listens');
    t.equal(await connect(dead), 'open');
    t.strictSame(readdirSync(folder), ['dead'], 'no other name is left');
    await server.close();
    t.strictSame(readdirSync(folder), []);
  });

  t.test(
    `of servers that find a dead socket together one listens, the others do not [${transport}]`,
    async (t) => {
      const { folder, dead } = await folderWithDeadSocket(t);
      const file = path.join(folder, 'socket');
      for (let round = 0; round < 20; round++) {
        linkSync(dead, file);
        const servers = [0, 1, 2].map(() => newServer(t, transport));
        const results: Promise<string>[] = [];
        for (const [index, server] of servers.entries()) {
          results.push(listen(server, file));
          // Each in another state of the one before.
          for (let turns = 0; turns < (round * (index + 1)) % 13; turns++) await turn();
        }
        const settled = await Promise.all(results);
        t.strictSame([...settled].sort(), ['EADDRINUSE', 'EADDRINUSE', 'listens']);
        const winner = settled.indexOf('listens');
        for (const [index, server] of servers.entries()) if (index !== winner) server.destroy();
        t.equal(await connect(file), 'open', 'what the others did and left does not matter');
        servers[winner]?.destroy();
        t.strictSame(readdirSync(folder), ['dead']);
      }
    },
  );

  t.test(`who listens, and files of other kinds, are left alone [${transport}]`, async (t) => {
    const { folder } = await folderWithDeadSocket(t);
    const taken = path.join(folder, 'taken');
    const first = newServer(t, transport);
    t.equal(await listen(first, taken), 'listens');
    t.equal(await listen(newServer(t, transport), taken), 'EADDRINUSE');
    t.equal(await connect(taken), 'open');
    const file = path.join(folder, 'file');
    writeFileSync(file, 'text');
    t.equal(await listen(newServer(t, transport), file), 'EADDRINUSE');
    t.equal(await listen(newServer(t, transport), path.join(folder, 'none', 'socket')), 'ENOENT');
    t.strictSame(readdirSync(folder).sort(), ['dead', 'file', 'taken']);
  });

  t.test(`a closing server leaves alone what another one has put in its place [${transport}]`, async (t) => {
    const { folder } = await folderWithDeadSocket(t);
    const file = path.join(folder, 'socket');
    const first = newServer(t, transport);
    await listen(first, file);
    rmSync(file);
    t.equal(await listen(newServer(t, transport), file), 'listens');
    await first.close();
    t.equal(await connect(file), 'open');
  });

  t.test(`a path that is too long for a socket is an error that says so [${transport}]`, async (t) => {
    const { folder } = await folderWithDeadSocket(t);
    const file = path.join(folder, 'x'.repeat(108 - folder.length));
    await t.rejects(newServer(t, transport).listen({ path: file }), {
      code: 'ERR_INVALID_ARG_VALUE',
      message: /^a unix socket's path, .* may have \d+ bytes$/,
    });
    t.strictSame(readdirSync(folder), ['dead']);
  });
}

t.test('workers of a cluster share a socket, and replace a dead one', async (t) => {
  const { folder, dead } = await folderWithDeadSocket(t);
  const program = path.join(folder, 'cluster.mjs');
  const text = `
    import cluster from 'node:cluster';
    const { Server } = await import(${JSON.stringify(new URL('../../lib/index.js', import.meta.url).href)});
    if (cluster.isPrimary) {
      for (let i = 0; i < 2; i++) cluster.fork().on('message', (said) => console.log(said));
      process.stdin.resume().on('end', () => process.exit());
    } else {
      const said = await new Server().listen({ path: ${JSON.stringify(dead)} }).then(() => 'listens', String);
      process.send(said);
    }`;
  writeFileSync(program, text);
  const cluster = Child.node(t, program);
  await cluster.printed(/^listens\nlistens\n/);
  t.equal(await connect(dead), 'open');
  cluster.endInput();
  t.equal(await cluster.ended(), 0);
});
