import { ApiError } from './api.js';
import { create } from './elements.js';

/**
 * A part of the page that shows the answer to one question at a time: a new question ends the one before, and an
 * answer that comes too late is dropped. What goes wrong is shown in its place, with a button to try again.
 */
export class Panel {
  readonly #root: HTMLElement;
  readonly #problem: HTMLElement;
  readonly #refuse: (error: ApiError) => boolean;
  #current = new AbortController();

  /**
   * @param root has an element of the class `problem`
   * @param refuse true where it has taken care of the error
   */
  constructor(root: HTMLElement, refuse: (error: ApiError) => boolean = () => false) {
    const problem = root.querySelector<HTMLElement>('.problem');
    if (problem === null) throw new Error(`#${root.id} has no place for a problem`);
    this.#root = root;
    this.#problem = problem;
    this.#refuse = refuse;
  }

  /** Returns whether this question's answer is the one that is shown. */
  async run<T>(ask: (signal: AbortSignal) => Promise<T>, show: (answer: T) => void): Promise<boolean> {
    this.cancel();
    const { signal } = this.#current;
    this.#root.ariaBusy = 'true';
    try {
      const answer = await ask(signal);
      if (signal.aborted) return false;
      show(answer);
      return true;
    } catch (error) {
      if (!signal.aborted) this.#fail(error, () => void this.run(ask, show));
      return false;
    } finally {
      if (!signal.aborted) this.#root.ariaBusy = 'false';
    }
  }

  /** Drops the question under way, if any, and the problem shown. */
  cancel(): void {
    this.#current.abort();
    this.#current = new AbortController();
    this.#problem.replaceChildren();
    this.#root.ariaBusy = 'false';
  }

  #fail(error: unknown, retry: () => void): void {
    if (!(error instanceof ApiError)) {
      this.#problem.replaceChildren(`This page has failed: ${String(error)}`);
      throw error;
    }
    if (this.#refuse(error)) return;
    const button = create('button', { type: 'button', textContent: 'Try again' });
    button.addEventListener('click', retry);
    this.#problem.replaceChildren(create('span', { textContent: error.message }), button);
  }
}
