#!/usr/bin/env node
// What is installed as `grpc-frame-proxy`. The line above could give Node options by `env -S`, which BusyBox, and so Alpine,
// does not have. So this process becomes another Node, with the same id, where it can: from Node 22.15 on, not on Windows.
import { fileURLToPath } from 'node:url';
import { withHeap } from './heap.js';

const { execPath, execArgv, argv, env } = process;
const main = fileURLToPath(new URL('./main.js', import.meta.url));
try {
  process.execve?.(execPath, [execPath, ...withHeap(execArgv), main, ...argv.slice(2)], env);
} catch {
  // It may not (Node's permission model), or cannot: large messages cost more then, and all else is the same.
}
await import('./main.js');
