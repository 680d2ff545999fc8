import type { HeaderList } from '../../../port/headers.js';
import { CompressionError } from './compression-error.js';
import { DynamicTable, ENTRY_OVERHEAD } from './dynamic-table.js';
import { isLegalName, isLegalValue } from './field-characters.js';
import { decodeHuffman } from './huffman.js';
import { type BlockCursor, readIntegerRest } from './integer.js';
import { STATIC_NAMES, STATIC_TABLE_LENGTH, STATIC_VALUES } from './static-table.js';

/** Decodes one connection's field blocks (RFC 7541 section 3), in the order in which they came. */
export class HeaderDecoder implements BlockCursor {
  /** Whether the last block's list was larger than the limit; what came back is then only its beginning. */
  tooLarge = false;
  /** Whether a field of the last block holds characters that RFC 9113 section 8.2.1 forbids. */
  illegal = false;

  block: Buffer = EMPTY;
  position = 0;
  end = 0;

  private readonly table: DynamicTable;
  /** How much of {@link fields} belongs to the list that is being decoded. */
  private length = 0;
  private listSize = 0;
  private neverIndexed: string[] | undefined = undefined;

  /**
   * @param tableSize the SETTINGS_HEADER_TABLE_SIZE that this side has advertised
   * @param maxListSize the most that a list may count, as SETTINGS_MAX_HEADER_LIST_SIZE does
   */
  constructor(
    private readonly tableSize: number,
    private readonly maxListSize: number,
  ) {
    this.table = new DynamicTable(tableSize);
  }

  /**
   * Decodes a complete field block. A list that is too large is decoded to its end all the same, since the
   * dynamic table must follow, but no more of it is kept.
   *
   * @throws CompressionError
   */
  decode(block: Buffer, start: number, end: number): HeaderList {
    this.block = block;
    this.position = start;
    this.end = end;
    this.tooLarge = false;
    this.illegal = false;
    this.length = 0;
    this.listSize = 0;
    this.neverIndexed = undefined;
    this.readTableSizeUpdates();
    while (this.position < this.end) this.readField();
    this.block = EMPTY;
    const list: HeaderList = fields.slice(0, this.length);
    if (this.neverIndexed !== undefined) list.neverIndexed = this.neverIndexed;
    return list;
  }

  /**
   * "This dynamic table size update MUST occur at the beginning of the first header block following the
   * change to the dynamic table size" (RFC 7541 section 4.2), so that it is an error anywhere else.
   */
  private readTableSizeUpdates(): void {
    while (this.position < this.end && (this.block[this.position]! & 0xe0) === 0x20) {
      const size = this.readInteger(this.block[this.position++]!, 0x1f);
      // "The new maximum size MUST be lower than or equal to the limit determined by the protocol using
      // HPACK. A value that exceeds this limit MUST be treated as a decoding error" (section 6.3).
      if (size > this.tableSize) throw new CompressionError('dynamic table size above the setting');
      this.table.resize(size);
    }
  }

  private readField(): void {
    const octet = this.block[this.position++]!;
    if ((octet & 0x80) !== 0) {
      this.emitIndexed(this.readInteger(octet, 0x7f));
    } else if ((octet & 0x40) !== 0) {
      this.readLiteral(this.readInteger(octet, 0x3f), true, false);
    } else if ((octet & 0x20) === 0) {
      this.readLiteral(this.readInteger(octet, 0x0f), false, (octet & 0x10) !== 0);
    } else {
      throw new CompressionError('dynamic table size update behind a field');
    }
  }

  /** Section 6.1. */
  private emitIndexed(index: number): void {
    if (index <= STATIC_TABLE_LENGTH) {
      if (index === 0) throw new CompressionError('index 0');
      this.emit(STATIC_NAMES[index]!, STATIC_VALUES[index]!);
      return;
    }
    const entry = index - STATIC_TABLE_LENGTH;
    if (entry > this.table.length) throw new CompressionError('index behind the dynamic table');
    if (this.table.isIllegalAt(entry)) this.illegal = true;
    this.emit(this.table.nameAt(entry), this.table.valueAt(entry));
  }

  /** Sections 6.2.1 to 6.2.3. */
  private readLiteral(nameIndex: number, indexed: boolean, neverIndexed: boolean): void {
    let name: string;
    let illegal = false;
    if (nameIndex === 0) {
      name = this.readString();
      illegal = !isLegalName(name);
    } else if (nameIndex <= STATIC_TABLE_LENGTH) {
      name = STATIC_NAMES[nameIndex]!;
    } else {
      const entry = nameIndex - STATIC_TABLE_LENGTH;
      if (entry > this.table.length) throw new CompressionError('index behind the dynamic table');
      name = this.table.nameAt(entry);
      illegal = !isLegalName(name);
    }
    const value = this.readString();
    if (illegal || !isLegalValue(name, value)) {
      this.illegal = true;
      illegal = true;
    }
    if (indexed) this.table.add(name, value, illegal);
    this.emit(name, value);
    if (neverIndexed && !this.tooLarge) {
      this.neverIndexed ??= [];
      this.neverIndexed.push(name);
    }
  }

  private emit(name: string, value: string): void {
    this.listSize += name.length + value.length + ENTRY_OVERHEAD;
    if (this.listSize > this.maxListSize) {
      this.tooLarge = true;
    } else {
      fields[this.length++] = name;
      fields[this.length++] = value;
    }
  }

  private readInteger(octet: number, prefix: number): number {
    const value = octet & prefix;
    return value < prefix ? value : readIntegerRest(this, prefix);
  }

  /** Section 5.2. Octets become characters one by one, so that any octet survives. */
  private readString(): string {
    if (this.position >= this.end) throw new CompressionError('field is cut off');
    const octet = this.block[this.position++]!;
    const length = this.readInteger(octet, 0x7f);
    const start = this.position;
    // Checked before any memory is spent: a string is never longer than what the block still holds.
    if (length > this.end - start) throw new CompressionError('string is cut off');
    this.position = start + length;
    if ((octet & 0x80) !== 0) return decodeHuffman(this.block, start, start + length);
    return length <= SHORT
      ? shortString(this.block, start, length)
      : this.block.toString('latin1', start, start + length);
  }
}

const EMPTY = Buffer.alloc(0);

/** The fields of the block that is being decoded; lists are cut from it in their own lengths, with no room to grow. */
const fields: string[] = [];

/** Up to this length, making a string in JavaScript is cheaper than a call into the runtime. */
const SHORT = 8;

function shortString(block: Buffer, start: number, length: number): string {
  let text = '';
  for (let i = 0; i < length; i++) text += String.fromCharCode(block[start + i]!);
  return text;
}
