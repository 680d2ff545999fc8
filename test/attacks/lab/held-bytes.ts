/**
 * What the library says it holds for calls, in bytes: `heldBytes()` of lib/port/held-memory.ts; undefined where there
 * is no such count.
 */
export async function heldBytesReader(): Promise<(() => number) | undefined> {
  // Not a literal: it is no error if there is no such module.
  const path = '../../../lib/port/held-memory.js';
  try {
    const { heldBytes } = (await import(path)) as { heldBytes?: () => number };
    return heldBytes;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    return undefined;
  }
}
