/** What became of one write of a group. */
export type Settled<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown };

export interface CommitCounts {
  /** Writes that were done, whether they succeeded or were refused. */
  readonly writes: number;
  /** Transactions they were committed in, each one wait for the disk. */
  readonly commits: number;
}

/** The part of a database that a group needs. */
export interface Transactions {
  /** Whether a transaction is open. */
  readonly inTransaction: boolean;
  /** Runs `work` in a transaction, or in a savepoint of the one that is open; undone when it throws. */
  write<T>(work: () => T): T;
}

/** Room that a write needs in memory for what it shows after its commit. */
export interface Room {
  reserve(count: number): void;
}

/** Thrown to leave a transaction that has lost one of its writes' errors with it; never leaves this file. */
class GroupBroken extends Error {}

/**
 * Commits many writes at once: each in a savepoint of its own, so that one that fails takes back only itself, and all
 * with a single wait for the disk. What a write shows in memory is put off until it is on disk.
 */
export class GroupCommit {
  private deferred: (() => void)[] | undefined;
  private readonly rooms = new Map<Room, number>();
  private counts = { writes: 0, commits: 0 };

  constructor(private readonly transactions: Transactions) {}

  get statistics(): CommitCounts {
    return { ...this.counts };
  }

  /**
   * Called by a write before it changes anything: there will be room for `count` more, besides what the writes before it
   * in the same group have asked for.
   */
  reserve(room: Room, count: number): void {
    const total = (this.rooms.get(room) ?? 0) + count;
    room.reserve(total);
    if (this.deferred !== undefined) this.rooms.set(room, total);
  }

  /** Called by a write as its last step: `show` runs once it is on disk. It must not fail. */
  afterCommit(show: () => void): void {
    if (this.deferred === undefined) show();
    else this.deferred.push(show);
  }

  /**
   * Does writes in order, in one transaction. The outcomes are those of doing them one by one: where the transaction as
   * a whole fails, that is what is done.
   */
  run<T>(writes: readonly (() => T)[]): Settled<T>[] {
    this.counts.writes += writes.length;
    return (
      (writes.length > 1 ? this.together(writes) : undefined) ?? writes.map((write) => this.alone(write))
    );
  }

  private alone<T>(write: () => T): Settled<T> {
    const settled = settle(write);
    if (settled.ok) this.counts.commits++;
    return settled;
  }

  /** @returns undefined when nothing of it has been done, because the transaction failed as a whole */
  private together<T>(writes: readonly (() => T)[]): Settled<T>[] | undefined {
    const deferred: (() => void)[] = (this.deferred = []);
    let outcomes: Settled<T>[];
    try {
      outcomes = this.transactions.write(() =>
        writes.map((write) => {
          const before = deferred.length;
          const settled = settle(() => this.transactions.write(write));
          // A full disk, among others, makes SQLite undo the whole transaction.
          if (!this.transactions.inTransaction) throw new GroupBroken();
          if (!settled.ok) deferred.length = before;
          return settled;
        }),
      );
    } catch {
      // Whatever it is, each write meets it again by itself and tells its own caller.
      return undefined;
    } finally {
      this.deferred = undefined;
      this.rooms.clear();
    }
    this.counts.commits++;
    for (const show of deferred) show();
    return outcomes;
  }
}

function settle<T>(write: () => T): Settled<T> {
  try {
    return { ok: true, value: write() };
  } catch (error) {
    return { ok: false, error };
  }
}
