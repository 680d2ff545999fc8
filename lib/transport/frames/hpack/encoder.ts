import type { HeaderList } from '../../../port/headers.js';
import { ENTRY_OVERHEAD, entrySize, slotsFor } from './dynamic-table.js';
import { isLegalName } from './field-characters.js';
import { MAX_INTEGER_OCTETS, writeInteger } from './integer.js';
import { STATIC_TABLE, STATIC_TABLE_LENGTH, type StaticName } from './static-table.js';
import { UnsendableFieldError } from './unsendable-field-error.js';

/** Where a field block is written: memory that grows on demand. */
export interface BlockTarget {
  buffer: Buffer;
  length: number;
  /** Makes room for this many octets behind `length`; may replace `buffer`. */
  reserve(octets: number): void;
}

/**
 * How many values of one name are added to the table without one of them being sent again before the name
 * counts as one whose values don't repeat (`grpc-timeout`, trace ids), and isn't indexed any more. Adding
 * them would only push out the fields that do repeat.
 */
const MAX_FRUITLESS_ADDITIONS = 6;

/** How many names are remembered before those without an entry in the table are forgotten. */
const MAX_IDLE_NAMES = 256;

/** From this many on, the names that are never indexed are looked up in a set. */
const MANY_NAMES = 8;

/**
 * Whoever can send fields on a connection can find out by trial what its table holds, and a backend's connections
 * are shared by all clients. "An encoder might also choose not to index values for header fields that are considered
 * to be highly valuable or sensitive to recovery, such as the Cookie or Authorization header fields" (RFC 7541
 * section 7.1.3).
 */
const SECRET_NAMES = new Set(['authorization', 'proxy-authorization']);

/** A cookie below this is short enough to be guessed: "short or low-entropy values are more readily recovered". */
const MIN_INDEXED_COOKIE = 20;

/**
 * "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields" (RFC 9113 section
 * 8.2.2).
 */
const CONNECTION_FIELDS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** A field in the dynamic table. */
interface Entry {
  readonly name: Name;
  readonly value: string;
}

/** What the encoder knows about one field name. */
class Name {
  /** Numbers of the additions to the dynamic table, by value. */
  readonly additions = new Map<string, number>();
  /** The value that was sent last as a literal or found in the table, and its addition's number. */
  lastValue: string | undefined = undefined;
  lastAddition = 0;
  /** The value that was found last in the static table, and its index there. */
  staticValue: string | undefined = undefined;
  staticIndex = 0;
  fruitless = 0;
  /** Below this length, a value is never indexed. */
  readonly minIndexedLength: number;

  /** @throws UnsendableFieldError */
  constructor(
    readonly name: string,
    readonly fixed: StaticName | undefined,
  ) {
    if (!isLegalName(name) || CONNECTION_FIELDS.has(name)) {
      throw new UnsendableFieldError(`a field must not be called ${JSON.stringify(name)}`);
    }
    this.minIndexedLength = SECRET_NAMES.has(name)
      ? Number.POSITIVE_INFINITY
      : name === 'cookie'
        ? MIN_INDEXED_COOKIE
        : 0;
  }
}

/**
 * Encodes one connection's field blocks (RFC 7541 section 2.4). Names and values are found by JavaScript's
 * interned strings and cached hashes; literals go out without Huffman coding, which costs more time than the
 * octets it saves are worth between a proxy and its neighbours.
 */
export class HeaderEncoder {
  private readonly names = new Map<string, Name>();
  /** The entries by addition number, in a ring. */
  private entries: (Entry | undefined)[];
  private mask: number;
  /** The number of the newest entry; the first one gets 1. */
  private added = 0;
  /** How many entries are in the table: those numbered from `added - count + 1`. */
  private count = 0;
  private size = 0;
  private maxSize: number;
  /** The smallest size since the last block, and whether any change is to be told (section 4.2). */
  private smallestSize: number;
  private sizeChanged = false;

  /** @param limit the most memory, counted as HPACK does, that this side spends on a table */
  constructor(private readonly limit = 4096) {
    this.maxSize = limit;
    this.smallestSize = limit;
    const slots = slotsFor(limit);
    this.mask = slots - 1;
    this.entries = new Array<Entry | undefined>(slots).fill(undefined);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE: the table becomes no larger than that. */
  setMaxTableSize(setting: number): void {
    const size = Math.min(setting, this.limit);
    if (size === this.maxSize) return;
    this.maxSize = size;
    this.smallestSize = Math.min(this.smallestSize, size);
    this.sizeChanged = true;
    this.evictTo(size);
  }

  /**
   * Appends the field block of a list.
   *
   * @throws UnsendableFieldError; what has been appended is then of no use, and must not be sent
   */
  encode(headers: HeaderList, target: BlockTarget): void {
    if (this.sizeChanged) this.writeTableSizeUpdates(target);
    const names = headers.neverIndexed;
    const neverIndexed = names !== undefined && names.length > MANY_NAMES ? new Set(names) : undefined;
    try {
      for (let i = 0; i < headers.length; i += 2) {
        const name = headers[i]!;
        const value = headers[i + 1]!;
        target.reserve(name.length + value.length + 3 * MAX_INTEGER_OCTETS);
        if (names !== undefined && (neverIndexed?.has(name) ?? names.includes(name))) {
          this.writeNeverIndexed(name, value, target);
        } else {
          this.writeField(name, value, target);
        }
      }
    } catch (error) {
      this.startOver();
      throw error instanceof UnsendableFieldError ? error : new UnsendableFieldError('a field is no text');
    }
  }

  /** The peer will not see a block whose fields have been added to the table: both tables begin anew. */
  private startOver(): void {
    this.evictTo(0);
    this.smallestSize = 0;
    this.sizeChanged = true;
  }

  /**
   * "In the case that this size is changed more than once in this interval, the smallest maximum table size
   * that occurs in that interval MUST be signaled in a dynamic table size update. The final maximum size is
   * always signaled" (RFC 7541 section 4.2).
   */
  private writeTableSizeUpdates(target: BlockTarget): void {
    target.reserve(2 * MAX_INTEGER_OCTETS);
    if (this.smallestSize < this.maxSize) {
      target.length = writeInteger(target.buffer, target.length, 0x20, 0x1f, this.smallestSize);
    }
    target.length = writeInteger(target.buffer, target.length, 0x20, 0x1f, this.maxSize);
    this.smallestSize = this.maxSize;
    this.sizeChanged = false;
  }

  private writeField(text: string, value: string, target: BlockTarget): void {
    const name = this.names.get(text) ?? this.addName(text);
    if (value.length < name.minIndexedLength) {
      this.writeLiteral(0x10, 0x0f, name, value, target);
      return;
    }
    if (this.isStatic(name, value)) {
      target.length = writeInteger(target.buffer, target.length, 0x80, 0x7f, name.staticIndex);
      return;
    }
    const addition = name.lastValue === value ? name.lastAddition : name.additions.get(value);
    if (addition !== undefined && addition > this.added - this.count) {
      name.fruitless = 0;
      name.lastValue = value;
      name.lastAddition = addition;
      const index = STATIC_TABLE_LENGTH + 1 + this.added - addition;
      target.length = writeInteger(target.buffer, target.length, 0x80, 0x7f, index);
      return;
    }
    if (this.isWorthAdding(name, value)) {
      this.writeLiteral(0x40, 0x3f, name, value, target);
      this.add(name, value);
    } else {
      this.writeLiteral(0x00, 0x0f, name, value, target);
      name.lastValue = value;
      name.lastAddition = 0;
    }
  }

  /** Whether the static table has the field; the name knows the index then. Mostly a value is the one sent last. */
  private isStatic(name: Name, value: string): boolean {
    if (name.fixed === undefined || name.lastValue === value) return false;
    if (name.staticValue === value) return true;
    const index = name.fixed.values.get(value);
    if (index === undefined) return false;
    name.staticValue = value;
    name.staticIndex = index;
    return true;
  }

  private isWorthAdding(name: Name, value: string): boolean {
    // A field that takes half of the table pushes out many for one.
    if (2 * entrySize(name.name, value) > this.maxSize) return false;
    if (name.fruitless < MAX_FRUITLESS_ADDITIONS) return true;
    if (name.lastValue !== value) return false;
    name.fruitless = 0;
    return true;
  }

  /** Section 6.2.3: for "protecting header field values that are not to be put at risk by compressing them". */
  private writeNeverIndexed(text: string, value: string, target: BlockTarget): void {
    const name = this.names.get(text) ?? this.addName(text);
    this.writeLiteral(0x10, 0x0f, name, value, target);
  }

  private writeLiteral(
    pattern: number,
    prefix: number,
    name: Name,
    value: string,
    target: BlockTarget,
  ): void {
    const buffer = target.buffer;
    let position = target.length;
    if (name.fixed !== undefined) {
      position = writeInteger(buffer, position, pattern, prefix, name.fixed.index);
    } else {
      // Names in the dynamic table are not referred to: a name that has an entry there soon has all of its
      // repeating values there, too.
      buffer[position++] = pattern;
      position = writeString(buffer, position, name.name);
    }
    target.length = writeString(buffer, position, value);
  }

  private addName(text: string): Name {
    if (this.names.size >= MAX_IDLE_NAMES) this.forgetIdleNames();
    const name = new Name(text, STATIC_TABLE.get(text));
    this.names.set(text, name);
    return name;
  }

  private forgetIdleNames(): void {
    for (const [text, name] of this.names) {
      if (name.additions.size === 0) this.names.delete(text);
    }
  }

  /** Section 4.4. */
  private add(name: Name, value: string): void {
    const size = entrySize(name.name, value);
    this.evictTo(this.maxSize - size);
    this.added++;
    this.count++;
    this.size += size;
    this.entries[this.added & this.mask] = { name, value };
    name.additions.set(value, this.added);
    name.lastValue = value;
    name.lastAddition = this.added;
    name.fruitless++;
  }

  private evictTo(size: number): void {
    while (this.count > 0 && this.size > size) {
      const addition = this.added - this.count + 1;
      const entry = this.entries[addition & this.mask]!;
      this.entries[addition & this.mask] = undefined;
      entry.name.additions.delete(entry.value);
      this.size -= entry.name.name.length + entry.value.length + ENTRY_OVERHEAD;
      this.count--;
    }
  }
}

/** Up to this length, writing octet by octet is cheaper than a call into the runtime. */
const SHORT = 24;

/** What no value may hold (RFC 9113 section 8.2.1), and what is no octet. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const FORBIDDEN = /[\x00\x0a\x0d\u0100-\uffff]/;

function forbiddenCharacter(): UnsendableFieldError {
  return new UnsendableFieldError("a field's value holds NUL, CR, LF or a character above U+00FF");
}

/** Section 5.2, with H = 0. */
function writeString(buffer: Buffer, position: number, text: string): number {
  const length = text.length;
  const start = writeInteger(buffer, position, 0x00, 0x7f, length);
  if (length > SHORT) {
    if (FORBIDDEN.test(text)) throw forbiddenCharacter();
    buffer.write(text, start, length, 'latin1');
    return start + length;
  }
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff || (code <= 0x0d && FORBIDDEN.test(text))) throw forbiddenCharacter();
    buffer[start + i] = code;
  }
  return start + length;
}
