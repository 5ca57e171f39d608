/**
 * What a call may be done together with. `write`: with other writes, in one commit. `read`: by itself, and writes that
 * wait behind it may be done first. `alone`: by itself, after all before it and before all behind it.
 */
export type CallKind = 'write' | 'read' | 'alone';

export interface QueuedCall {
  readonly kind: CallKind;
  /** Bytes that a write brings with it. */
  readonly bytes: number;
}

/** A read that waits for a group of writes waits for no more than this; so does the memory they take. */
const MAX_GROUP_WRITES = 256;
const MAX_GROUP_BYTES = 32 * 2 ** 20;

/**
 * Calls that wait for a thread that does one thing at a time. Takes them in order, but for writes: when the next call is
 * a write, those that wait behind it come along, over reads and in their own order, so that they can share one commit.
 *
 * So a write never overtakes another, a read comes after all writes that were called before it, and it waits for at most
 * the group under way and the one that has those writes.
 */
export class CallQueue<T extends QueuedCall> {
  private waiting: T[] = [];

  push(call: T): void {
    this.waiting.push(call);
  }

  /** What is to be done next: one call, or several writes; empty when nothing waits. */
  take(): T[] {
    const [first, ...behind] = this.waiting;
    if (first === undefined) return [];
    if (first.kind !== 'write') {
      this.waiting = behind;
      return [first];
    }
    const group = [first];
    const left: T[] = [];
    let bytes = first.bytes;
    let open = true;
    for (const call of behind) {
      const fits = group.length < MAX_GROUP_WRITES && bytes + call.bytes <= MAX_GROUP_BYTES;
      if (open && call.kind === 'write' && fits) {
        group.push(call);
        bytes += call.bytes;
        continue;
      }
      left.push(call);
      if (call.kind !== 'read') open = false;
    }
    this.waiting = left;
    return group;
  }
}
