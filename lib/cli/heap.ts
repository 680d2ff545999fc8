/**
 * Up to this size, in MiB, V8 lets the heap grow before it collects all of it. By default it does so every few MiB of external
 * memory once the heap is above 8 MiB, and at large messages node:http2 brings that much in a moment: half of the CPU went
 * there on Node 26. It can be said only to a Node that starts.
 */
const FLAG = '--initial-heap-size';

/** Node's options for a process that takes calls: these, and how large its heap may be before it is collected. */
export function withHeap(nodeOptions: readonly string[]): string[] {
  const isSaid = nodeOptions.some((option) => option.startsWith(FLAG));
  return isSaid ? [...nodeOptions] : [`${FLAG}=64`, ...nodeOptions];
}
