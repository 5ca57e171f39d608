import { rmSync } from 'node:fs';
import { inspectInSteps } from './hnsw-file.js';
import type { HnswFile } from './hnsw-file.js';
import type { HnswGraph } from './hnsw-graph.js';

/** How long one step waits for the writing thread: requests come in between. */
const STEP_WAIT_MS = 5;

/**
 * A save of a graph in progress. A thread writes the file, during which the graph must not change; then the file is
 * read back in steps and checked, and at last published. Searches go on all the while.
 */
export class GraphSave {
  private readonly size: number;
  private readonly maxLabel: number;
  private writing = true;
  private inspection: ReturnType<typeof inspectInSteps> | undefined;

  /**
   * @param temporary path that is free to be written
   * @param publish puts the checked file in its place
   * @throws Error when the writing cannot begin
   */
  constructor(
    private readonly graph: HnswGraph,
    private readonly temporary: string,
    private readonly dimension: number,
    private readonly publish: (written: HnswFile, maxLabel: number) => void,
  ) {
    this.size = graph.size;
    this.maxLabel = graph.labels().reduce((max, label) => Math.max(max, label), -1);
    graph.startSave(temporary);
  }

  /** Whether the graph must not change now. */
  get isWriting(): boolean {
    return this.writing;
  }

  /**
   * Goes on for as long as `mayGoOn` says and at least one step.
   *
   * @returns whether the graph on disk is this one now
   * @throws Error when it could not be written whole; the one before is still there then
   */
  step(mayGoOn: () => boolean): boolean {
    try {
      do {
        if (this.writing) {
          if (!this.finishWriting(STEP_WAIT_MS)) return false;
          continue;
        }
        this.inspection ??= inspectInSteps(this.temporary);
        const { done, value } = this.inspection.next();
        if (done === true) {
          this.accept(value);
          return true;
        }
      } while (mayGoOn());
      return false;
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  /** Waits for the thread and leaves nothing behind. */
  abandon(): void {
    try {
      while (this.writing && !this.finishWriting(1000));
    } catch {
      // It failed, which is as good.
    }
    this.inspection?.return(undefined);
    rmSync(this.temporary, { force: true });
  }

  private finishWriting(milliseconds: number): boolean {
    try {
      this.writing = !this.graph.finishSave(milliseconds);
    } catch (error) {
      this.writing = false;
      throw error;
    }
    return !this.writing;
  }

  private accept(written: HnswFile | undefined): void {
    if (written?.count !== this.size || written.dimension !== this.dimension) {
      throw new Error('the file is not whole after writing; the disk may be full');
    }
    try {
      this.publish(written, this.maxLabel);
    } finally {
      rmSync(this.temporary, { force: true });
    }
  }
}
