/** The first index of HPACK's dynamic table (RFC 7541 section 2.3.3). */
const FIRST_DYNAMIC_INDEX = 62;

type Field = readonly [name: string, value: string];

/**
 * One connection's outgoing header blocks, of fixed lists of fields: put into HPACK's dynamic table the first time
 * and only referred to from then on, as every HTTP/2 implementation does with what repeats. All lists together must
 * stay under the table's 4 096 bytes.
 */
export class HeaderBlocks {
  readonly #known = new Map<readonly Field[], { insertedBefore: number; block: Buffer }>();
  readonly #indexed: boolean;
  #inserted = 0;
  #first = true;

  /** @param tableSize the peer's SETTINGS_HEADER_TABLE_SIZE: nginx says 0 */
  constructor(tableSize: number) {
    this.#indexed = tableSize >= 4096;
  }

  block(fields: readonly Field[]): Buffer {
    const known = this.#known.get(fields);
    if (known !== undefined && known.insertedBefore === this.#inserted) return known.block;
    if (!this.#indexed) return this.#literals(fields);
    if (known === undefined) {
      this.#known.set(fields, { insertedBefore: -1, block: Buffer.alloc(0) });
      this.#starts.set(fields, this.#inserted);
      this.#inserted += fields.length;
      return Buffer.concat(fields.map((field) => literal(0x40, field)));
    }
    const start = this.#starts.get(fields)!;
    const block = Buffer.from(
      fields.map((_, index) => 0x80 | (FIRST_DYNAMIC_INDEX + this.#inserted - 1 - start - index)),
    );
    this.#known.set(fields, { insertedBefore: this.#inserted, block });
    return block;
  }

  /** How many fields were in the table before each list came in. */
  readonly #starts = new Map<readonly Field[], number>();

  #literals(fields: readonly Field[]): Buffer {
    const block = Buffer.concat(fields.map((field) => literal(0x00, field)));
    if (!this.#first) {
      this.#known.set(fields, { insertedBefore: this.#inserted, block });
      return block;
    }
    this.#first = false;
    // "the encoder MUST use a dynamic table size update" where the size has been reduced (RFC 7541 section 4.2).
    return Buffer.concat([Buffer.from([0x20]), block]);
  }
}

/** Names and values under 127 bytes, not Huffman-coded. */
function literal(representation: number, [name, value]: Field): Buffer {
  return Buffer.concat([
    Buffer.from([representation, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}
