import { CompressionError } from './compression-error.js';

/**
 * Code lengths in bits of the symbols 0 to 255 and EOS (RFC 7541 appendix B). The lengths are enough: "it is
 * a canonical Huffman code", so codes of one length are consecutive numbers in the order of their symbols,
 * and each length goes on where the shorter one before it stopped.
 */
// biome-ignore format: sixteen symbols a line
const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
   6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
   5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
  13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
   7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
  15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
   6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const EOS = 256;

/** A bit of an entry of the decoding table: the nibble completes the symbol in bits 8 to 15. */
const EMITS = 1 << 16;
/** The nibble completes EOS, or runs into no code at all. */
const FAILS = 1 << 17;

/** A node of the code tree, the children by bit: a node again, or a symbol. */
interface Node {
  readonly children: [Node | number | undefined, Node | number | undefined];
  readonly state: number;
  /** Whether a string may end here: at most 7 bits of padding, all ones (RFC 7541 section 5.2). */
  readonly accepts: boolean;
}

function buildTree(): Node[] {
  const nodes: Node[] = [];
  const grow = (accepts: boolean): Node => {
    const node: Node = { children: [undefined, undefined], state: nodes.length, accepts };
    nodes.push(node);
    return node;
  };
  const root = grow(true);
  let code = 0;
  for (let length = 5; length <= 30; length++) {
    for (let symbol = 0; symbol <= EOS; symbol++) {
      if (CODE_LENGTHS[symbol] !== length) continue;
      let node = root;
      for (let depth = 1; depth < length; depth++) {
        const bits = code >>> (length - depth);
        const bit = bits & 1;
        let child = node.children[bit];
        if (child === undefined) {
          child = grow(depth <= 7 && bits === 2 ** depth - 1);
          node.children[bit] = child;
        }
        node = child as Node;
      }
      node.children[code & 1] = symbol;
      code++;
    }
    code <<= 1;
  }
  return nodes;
}

/** See {@link makeTable}. */
interface Table {
  readonly transitions: Uint32Array;
  /** By state, whether a string may end there. */
  readonly accepting: Uint8Array;
}

/**
 * The decoding table: one entry for each state (an inner node of the code tree, 256 of them) and next
 * nibble. Nibbles, and not whole octets, keep it at 16 KiB, which stays in the processor's first cache.
 */
function makeTable(): Table {
  const nodes = buildTree();
  const root = nodes[0]!;
  const transitions = new Uint32Array(nodes.length * 16);
  const accepting = new Uint8Array(nodes.length);
  for (const start of nodes) {
    accepting[start.state] = start.accepts ? 1 : 0;
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = start;
      let entry = 0;
      for (let shift = 3; shift >= 0; shift--) {
        const child = node.children[((nibble >>> shift) & 1) as 0 | 1];
        if (typeof child === 'object') {
          node = child;
          continue;
        }
        entry |= child === undefined || child === EOS ? FAILS : EMITS | (child << 8);
        node = root;
      }
      transitions[start.state * 16 + nibble] = entry | node.state;
    }
  }
  return { transitions, accepting };
}

/** Made for the first string: it takes five milliseconds, which who imports the package without the engine need not wait for. */
let table: Table | undefined;

/** Reused for every string: what is decoded is copied into a JavaScript string at once. */
let scratch = Buffer.allocUnsafeSlow(4096);

/** Decodes a Huffman-encoded string literal (RFC 7541 section 5.2), each octet becoming one character. */
export function decodeHuffman(block: Buffer, start: number, end: number): string {
  // The shortest code has 5 bits, so a string grows to 8/5 of its size at most.
  const most = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(most);
  const output = scratch;
  table ??= makeTable();
  const { transitions, accepting } = table;
  let length = 0;
  let state = 0;
  for (let position = start; position < end; position++) {
    const octet = block[position]!;
    const high = transitions[(state << 4) | (octet >>> 4)]!;
    if ((high & EMITS) !== 0) output[length++] = (high >>> 8) & 0xff;
    const low = transitions[((high & 0xff) << 4) | (octet & 0x0f)]!;
    if ((low & EMITS) !== 0) output[length++] = (low >>> 8) & 0xff;
    if (((high | low) & FAILS) !== 0) throw new CompressionError('EOS in a Huffman-encoded string');
    state = low & 0xff;
  }
  // "A padding strictly longer than 7 bits MUST be treated as a decoding error. A padding not corresponding
  // to the most significant bits of the code for the EOS symbol MUST be treated as a decoding error."
  if (accepting[state] === 0) throw new CompressionError('bad padding of a Huffman-encoded string');
  return output.toString('latin1', 0, length);
}
