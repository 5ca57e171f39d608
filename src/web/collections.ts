import { requestJson, type Collection, type CollectionList } from './api.js';
import { count, element } from './elements.js';

/** The collections of the server, and the one that is looked at. */
export class Collections {
  readonly #select = element('collection', HTMLSelectElement);
  readonly #names = element('collection-names', HTMLDataListElement);
  #all: Collection[] = [];

  constructor(onSelect: () => void) {
    this.#select.addEventListener('change', onSelect);
  }

  /** Undefined where the server has none. */
  get selected(): Collection | undefined {
    return this.#all.find(({ name }) => name === this.#select.value);
  }

  has(name: string): boolean {
    return this.#all.some((collection) => collection.name === name);
  }

  /**
   * Asks the server anew.
   *
   * @param preferred the one to select; default: the one that is, or else the largest
   */
  async refresh(preferred?: string, signal?: AbortSignal): Promise<void> {
    const { collections } = await requestJson<CollectionList>('v1/collections', { signal });
    const largest = [...collections].sort((a, b) => b.count - a.count)[0]?.name;
    const wanted = [preferred, this.#select.value, largest].find((name) =>
      collections.some((known) => known.name === name),
    );
    this.#all = collections;
    this.#select.replaceChildren(
      ...collections.map(
        ({ name, count: images }) => new Option(`${name} (${count(images)})`, name, false, name === wanted),
      ),
    );
    this.#names.replaceChildren(...collections.map(({ name }) => new Option(name)));
    this.#select.disabled = collections.length === 0;
  }
}
