/** What can be in one {@link LinkedList} at a time. */
export interface Linked<T> {
  /** Its neighbours, for the list alone. */
  previous: T | undefined;
  next: T | undefined;
}

/** Linked both ways: a Set's tables would keep those that have left alive (stream-table.ts). */
export class LinkedList<T extends Linked<T>> {
  first: T | undefined;

  add(one: T): void {
    one.next = this.first;
    if (this.first !== undefined) this.first.previous = one;
    this.first = one;
  }

  /** Takes out what is in it. */
  remove(one: T): void {
    if (one.previous === undefined) this.first = one.next;
    else one.previous.next = one.next;
    if (one.next !== undefined) one.next.previous = one.previous;
    one.previous = undefined;
    one.next = undefined;
  }
}
