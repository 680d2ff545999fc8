import { fileURLToPath } from 'node:url';
import { Child } from '../child.js';
import type { NodeOptions, Peer, Setup } from './peer.js';

/** What programs of this directory are given, as JSON, beside the {@link Setup}. */
export type Extras = Readonly<Record<string, string | boolean | undefined>>;

/** What the command of this package is started with, and README advises those who embed it to; see bench/NOTEBOOK.md. */
const V8_FLAGS = ['--initial-heap-size=64'];

/** A peer that is a program of this directory, on the Node that the run asks for. */
export function nodePeer(name: string, program: string, nodeOptions: NodeOptions, extras: Extras = {}): Peer {
  const path = fileURLToPath(new URL(program, import.meta.url));
  const { node, profileDirectory } = nodeOptions;
  const profiling = (port: number): string[] =>
    profileDirectory === undefined
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`, `--cpu-prof-name=${name}-${port}.cpuprofile`];
  return {
    name,
    missing: () => undefined,
    start: (setup: Setup) =>
      Child.start(node, [
        ...V8_FLAGS,
        ...profiling(setup.listenPort),
        path,
        JSON.stringify({ ...setup, ...extras }),
      ]),
  };
}

/** In such a program: what it has been given. Sees to its end, too: a profile is written at exit only. */
export function readSetup<E extends object = object>(): Setup & E {
  process.once('SIGTERM', () => process.exit(0));
  return JSON.parse(process.argv[2]!);
}
