/**
 * What a call may be done together with. `write`: with other writes, in one commit. `read`: by itself, and writes that
 * wait behind it may be done first. `quick`: a read that goes with those right behind it, because the way to the thread
 * costs more than the work. `alone`: by itself, after all before it and before all behind it.
 */
export type CallKind = 'write' | 'read' | 'quick' | 'alone';

export interface QueuedCall {
  readonly kind: CallKind;
  /** Bytes that a write brings with it. */
  readonly bytes: number;
}

/** A read that waits for a group of writes waits for no more than this; so does the memory they take. */
const MAX_GROUP_WRITES = 256;
const MAX_GROUP_BYTES = 32 * 2 ** 20;

/** Enough to share the way to the thread and back. */
const MAX_QUICK = 32;

/**
 * Calls that wait for a thread that does one thing at a time. Takes them in order, but for writes: when the next call is
 * a write, those that wait behind it come along, over reads and in their own order, so that they can share one commit.
 * Quick reads next to each other are taken together, in their order.
 *
 * So a write never overtakes another, a read comes after all writes that were called before it, and it waits for at most
 * the group under way and the one that has those writes.
 */
export class CallQueue<T extends QueuedCall> {
  private waiting: T[] = [];

  push(call: T): void {
    this.waiting.push(call);
  }

  /** Calls that were taken and not done: they are the next again. */
  giveBack(calls: readonly T[]): void {
    this.waiting.unshift(...calls);
  }

  /** What is to be done next: one call, several writes or several quick reads; empty when nothing waits. */
  take(): T[] {
    const first = this.waiting[0];
    if (first === undefined) return [];
    if (first.kind !== 'write') return this.waiting.splice(0, this.quickOnes() || 1);
    const behind = this.waiting.slice(1);
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
      if (call.kind === 'write' || call.kind === 'alone') open = false;
    }
    this.waiting = left;
    return group;
  }

  /** How many quick reads are the next. */
  private quickOnes(): number {
    const end = this.waiting.slice(0, MAX_QUICK).findIndex(({ kind }) => kind !== 'quick');
    return end === -1 ? Math.min(this.waiting.length, MAX_QUICK) : end;
  }
}
