/** Field blocks that can't be decoded, by the rule of RFC 7541 that they break. */
export const BROKEN_BLOCKS: readonly [string, string][] = [
  ['2.3.3 an index behind both tables', 'be'],
  ['2.3.3 a name index behind both tables', '7e 01 61'],
  ['4.2 a dynamic table size update behind a field', '82 20'],
  ['5.1 an integer that is cut off', 'ff 80'],
  ['5.1 an integer of too many octets', 'ff 80 80 80 80 80 01'],
  ['5.1 an integer that is too large', 'ff ff ff ff ff 0f'],
  ['5.2 a string longer than the block', '40 01 61 05 62'],
  ['5.2 a field without its value', '40 01 61'],
  ['5.2 a padding longer than 7 bits', '40 01 61 82 1f ff'],
  ['5.2 a padding that is not EOS', '40 01 61 81 18'],
  ['5.2 EOS in a Huffman-encoded string', '40 01 61 84 ff ff ff fc'],
  ['5.2 EOS in the middle of a Huffman-encoded string', '40 01 61 85 ff ff ff ff ff'],
  ['6.1 index 0', '80'],
  ['6.3 a dynamic table size above the setting', '3f e2 1f'],
];
