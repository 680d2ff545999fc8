/**
 * Whether a call is among these percent of all: the same for the same key, each time and in each process, and for a
 * larger percentage, too; without a key by chance.
 */
export function isDrawn(percent: number, key: string | undefined): boolean {
  if (percent >= 100) return true;
  const draw = key === undefined ? Math.random() : hash(key) / 2 ** 32;
  return draw < percent / 100;
}

/** FNV-1a of a text's UTF-16 code units, with MurmurHash3's finalizer, which spreads what differs in the last one only. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
