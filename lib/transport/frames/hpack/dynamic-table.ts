/** What an entry counts beside its octets (RFC 7541 section 4.1). */
export const ENTRY_OVERHEAD = 32;

/** The size of an entry: "the sum of its name's length in octets, its value's length in octets, and 32". */
export function entrySize(name: string, value: string): number {
  return name.length + value.length + ENTRY_OVERHEAD;
}

/**
 * A decoder's dynamic table (RFC 7541 section 2.3.2): a ring of names and values, the newest entry having
 * index 1 here. An entry keeps the strings that it was made with, so that a field sent by its index costs
 * no new string.
 */
export class DynamicTable {
  /** How many entries there are. */
  length = 0;
  private size = 0;
  private newest = 0;
  private mask: number;
  private names: string[];
  private values: string[];
  /** Whether the field broke a rule for its characters when it came in: judged once, here, per entry. */
  private illegal: boolean[];

  constructor(private maxSize: number) {
    const slots = slotsFor(maxSize);
    this.mask = slots - 1;
    this.names = new Array<string>(slots).fill('');
    this.values = new Array<string>(slots).fill('');
    this.illegal = new Array<boolean>(slots).fill(false);
  }

  /** The name at an index that is between 1 and `length`. */
  nameAt(index: number): string {
    return this.names[(this.newest - index + 1) & this.mask]!;
  }

  valueAt(index: number): string {
    return this.values[(this.newest - index + 1) & this.mask]!;
  }

  isIllegalAt(index: number): boolean {
    return this.illegal[(this.newest - index + 1) & this.mask]!;
  }

  /**
   * Adds an entry, evicting others until it fits. "An attempt to add an entry larger than the maximum size
   * causes the table to be emptied of all existing entries", and is no error (section 4.4).
   */
  add(name: string, value: string, illegal: boolean): void {
    const size = entrySize(name, value);
    this.evictTo(this.maxSize - size);
    if (size > this.maxSize) return;
    this.newest = (this.newest + 1) & this.mask;
    this.names[this.newest] = name;
    this.values[this.newest] = value;
    this.illegal[this.newest] = illegal;
    this.length++;
    this.size += size;
  }

  /** Changes the maximum size (section 4.3); never above the size that the table was made with. */
  resize(maxSize: number): void {
    this.maxSize = maxSize;
    this.evictTo(maxSize);
  }

  private evictTo(size: number): void {
    while (this.length > 0 && this.size > size) {
      const slot = (this.newest - this.length + 1) & this.mask;
      this.size -= entrySize(this.names[slot]!, this.values[slot]!);
      this.names[slot] = '';
      this.values[slot] = '';
      this.length--;
    }
  }
}

/** The next power of two that holds as many entries as fit into a table of this size. */
export function slotsFor(maxSize: number): number {
  let slots = 1;
  while (slots * ENTRY_OVERHEAD < maxSize) slots *= 2;
  return slots;
}
