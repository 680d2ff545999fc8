/** Buffers of one length that are used again and again, so that V8 has no garbage to collect for them. */
export class BufferPool {
  private readonly free: Buffer[] = [];

  /**
   * @param length of each buffer
   * @param maxFree how many unused ones are kept
   * @param allocate makes one
   */
  constructor(
    readonly length: number,
    private readonly maxFree: number,
    private readonly allocate: (length: number) => Buffer,
  ) {}

  acquire(): Buffer {
    return this.free.pop() ?? this.allocate(this.length);
  }

  /** Takes back a buffer that nobody uses any more; one of another length is left to V8. */
  release(buffer: Buffer): void {
    if (buffer.length === this.length && this.free.length < this.maxFree) this.free.push(buffer);
  }
}
