import type { Subject } from './subject.js';

/**
 * The subjects of this visit, so that the browser's back button walks through them. A stored image is also in the
 * page's address, which can be kept and sent; a file is only remembered until the page is left.
 */
export class Trail {
  readonly #visited = new Map<string, Subject>();

  constructor(onReturn: (subject: Subject | undefined) => void) {
    window.addEventListener('popstate', () => onReturn(this.current));
  }

  /** Of the place in the history; undefined where the visit begins with none. */
  get current(): Subject | undefined {
    return this.#visited.get(String(history.state)) ?? fromAddress();
  }

  /** Whether there is a way back within this visit. */
  get hasPast(): boolean {
    return this.#visited.has(String(history.state));
  }

  go(subject: Subject): void {
    // Unique beyond a reload, after which older entries of the history still carry theirs.
    const place = `${performance.timeOrigin}/${this.#visited.size}`;
    this.#visited.set(place, subject);
    const query =
      'file' in subject ? '' : `?${new URLSearchParams({ collection: subject.collection, id: subject.id })}`;
    history.pushState(place, '', location.pathname + query);
  }
}

function fromAddress(): Subject | undefined {
  const address = new URLSearchParams(location.search);
  const [collection, id] = [address.get('collection'), address.get('id')];
  return collection === null || id === null ? undefined : { collection, id };
}
