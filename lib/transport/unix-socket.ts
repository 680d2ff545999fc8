import cluster from 'node:cluster';
import { createHash, randomBytes } from 'node:crypto';
import { lstatSync, unlinkSync } from 'node:fs';
import { link, lstat, stat, unlink } from 'node:fs/promises';
import net, { type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { ownError } from '../port/errors.js';

/** What a socket's address holds (`sun_path`), without the NUL; macOS and the BSDs have four less than Linux. */
const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

/**
 * Lets a server listen at the path of a unix socket, where a process that was killed may have left one behind. It
 * listens at a name that nobody knows, and gets the path as a second name (a hard link), which the system gives to
 * one alone and only if there is nothing: so who finds a socket there finds one that listens, or a dead one.
 *
 * @returns what takes the path away again, if it is still the server's; to be called before the server is closed
 * @throws Error EADDRINUSE if somebody listens there, or it is a file of another kind; ENOENT if there is no such folder
 */
export async function listenAtPath(server: Server, path: string): Promise<() => void> {
  const own = nameBeside(path, randomBytes(6));
  demandRoom(path);
  demandRoom(own);
  // To listen in a folder that is not there would be EACCES.
  await stat(dirname(path));
  if (cluster.isWorker) return shareWithWorkers(server, path, own);
  await listening(server, own);
  const { dev, ino } = lstatSync(own);
  try {
    await claim(path, own);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    await removeName(own);
  }
  return () => {
    try {
      const there = lstatSync(path);
      if (there.dev === dev && there.ino === ino) unlinkSync(path);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') process.emitWarning(error as Error);
    }
  };
}

/** Workers of a cluster all listen at one socket, which their primary process makes, and removes. */
async function shareWithWorkers(server: Server, path: string, own: string): Promise<() => void> {
  const holder = net.createServer();
  await listening(holder, own);
  try {
    await removeDead(path, own);
  } catch (error) {
    // Another worker's, which is this one's, too; or else listening fails.
    if (codeOf(error) !== 'EADDRINUSE') throw error;
  } finally {
    holder.close();
  }
  await listening(server, path, false);
  return () => {};
}

/** Gives the socket that listens at `own` the name `path`, too. */
async function claim(path: string, own: string): Promise<void> {
  while (!(await gaveName(own, path))) await removeDead(path, own);
}

/**
 * Removes a dead socket. That may be done by who holds the name that is made of the path and of that very socket, and
 * is claimed like the path itself: of two processes that find the same dead socket, one could else remove what the
 * other has just put in its place.
 */
async function removeDead(path: string, own: string): Promise<void> {
  const dead = await deadSocketAt(path);
  if (dead === undefined) return;
  const right = nameBeside(path, createHash('sha256').update(`${path}\0${dead}`).digest());
  await claim(right, own);
  try {
    if ((await deadSocketAt(path)) === dead) await removeName(path);
  } finally {
    await removeName(right);
  }
}

/** Whether `path` was free, and is a name of `own` now. */
async function gaveName(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Which socket is at a path that nobody listens at any more; undefined if there is nothing.
 *
 * @throws Error EADDRINUSE if somebody does, or it is no socket
 */
async function deadSocketAt(path: string): Promise<string | undefined> {
  try {
    const found = await lstat(path, { bigint: true });
    // The number of a file that has gone is given to another one; hardly in the same nanosecond.
    if (found.isSocket() && (await isDeserted(path))) return `${found.dev}:${found.ino}:${found.ctimeNs}`;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const error: NodeJS.ErrnoException = new Error(`listen EADDRINUSE: address already in use ${path}`);
  throw Object.assign(error, { code: 'EADDRINUSE', syscall: 'listen', address: path });
}

/** @throws Error ENOENT if there is nothing any more */
function isDeserted(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error) => {
      if (codeOf(error) === 'ENOENT') reject(error);
      else resolve(codeOf(error) === 'ECONNREFUSED');
    });
  });
}

function listening(server: Server, path: string, exclusive = true): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, exclusive }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function removeName(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    // Somebody has cleared the folder.
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}

/** A short name in the same folder, for paths may not be long. */
function nameBeside(path: string, bytes: Buffer): string {
  return join(dirname(path), `.${bytes.subarray(0, 6).toString('base64url')}`);
}

/** Node 20 cuts a longer path off, and listens elsewhere. */
function demandRoom(path: string): void {
  if (Buffer.byteLength(path) <= MAX_PATH_BYTES) return;
  throw ownError(
    'ERR_INVALID_ARG_VALUE',
    `a unix socket's path, and one of 9 bytes in its folder, may have ${MAX_PATH_BYTES} bytes`,
  );
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
