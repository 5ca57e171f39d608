import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** What a whole file of the native library says about itself. */
export interface HnswFile {
  /** Elements, deleted ones included. */
  readonly count: number;
  /** Elements per vector. */
  readonly dimension: number;
  /** Size in bytes. */
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** Ten size_t or double and two uint32, as hnswlib 0.8's saveIndex writes them on 64-bit hosts. */
const HEADER_BYTES = 96;
const BLOCK_BYTES = 1 << 20;

/**
 * Reads a saved graph from end to end and checks that its parts add up to exactly its length, whatever was
 * reported when it was written.
 *
 * Layout: header; `count` records of fixed size (links, float32 vector, label); then for each element
 * a uint32 length and as many bytes of links of its upper levels.
 *
 * @returns undefined when the file is not a whole graph
 * @throws Error of node:fs when it cannot be read
 */
export function inspectHnswFile(path: string): HnswFile | undefined {
  const steps = inspectInSteps(path);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** `inspectHnswFile`, with a pause after every block that it has read. */
export function* inspectInSteps(path: string): Generator<undefined, HnswFile | undefined> {
  const fd = openSync(path, 'r');
  try {
    const bytes = fstatSync(fd).size;
    const walk = new Walk(bytes);
    const hash = createHash('sha256');
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    for (let position = 0; position < bytes;) {
      const read = readSync(fd, block, 0, BLOCK_BYTES, position);
      if (read === 0) return undefined;
      const part = block.subarray(0, read);
      hash.update(part);
      walk.follow(part, position);
      position += read;
      yield;
    }
    const shape = walk.end();
    return shape && { ...shape, bytes, sha256: hash.digest('hex') };
  } finally {
    closeSync(fd);
  }
}

/** Follows the lengths in the file block by block; a length may lie across two blocks. */
class Walk {
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private readonly length = Buffer.alloc(4);
  private count = -1;
  private dimension = 0;
  private seen = 0;
  /** Where the next length begins, or where the file should end. */
  private next = HEADER_BYTES;

  constructor(private readonly bytes: number) {}

  follow(block: Buffer, position: number): void {
    const end = position + block.length;
    if (position < HEADER_BYTES) block.copy(this.header, position, 0, HEADER_BYTES - position);
    if (this.count < 0) {
      if (end < HEADER_BYTES) return;
      this.readHeader();
    }
    while (this.seen < this.count && this.next < end) {
      const from = Math.max(this.next, position);
      block.copy(this.length, from - this.next, from - position, this.next + 4 - position);
      if (this.next + 4 > end) return;
      this.next += 4 + this.length.readUInt32LE();
      this.seen++;
    }
  }

  end(): Pick<HnswFile, 'count' | 'dimension'> | undefined {
    const whole = this.count >= 0 && this.seen === this.count && this.next === this.bytes;
    return whole ? { count: this.count, dimension: this.dimension } : undefined;
  }

  private readHeader(): void {
    const size = (offset: number): number => Number(this.header.readBigUInt64LE(offset));
    const [count, recordBytes, labelOffset, dataOffset] = [size(16), size(24), size(32), size(40)];
    this.count = count;
    this.dimension = (labelOffset - dataOffset) / 4;
    this.next = HEADER_BYTES + count * recordBytes;
  }
}
