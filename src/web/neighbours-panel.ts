import {
  collectionPath,
  jsonBody,
  requestJson,
  type ApiError,
  type Collection,
  type ImageList,
  type SearchAnswer,
} from './api.js';
import type { Collections } from './collections.js';
import { count, element } from './elements.js';
import { Panel } from './panel.js';
import { pictureCard } from './picture-card.js';
import { askAbout, nameOf, type StoredSubject, type Subject } from './subject.js';

/**
 * What the collection has that is like the subject; without a subject, what it has at all, so that one may be
 * picked to begin with.
 */
export class NeighboursPanel {
  readonly #panel: Panel;
  readonly #collections: Collections;
  readonly #onPick: (subject: StoredSubject) => void;
  readonly #root = element('neighbours', HTMLElement);
  readonly #heading = element('neighbours-heading', HTMLElement);
  readonly #summary = element('neighbours-summary', HTMLElement);
  readonly #pictures = element('pictures', HTMLOListElement);
  readonly #k = element('k', HTMLSelectElement);
  readonly #empty = element('empty', HTMLElement);
  readonly #more = element('more', HTMLButtonElement);
  #subject: Subject | undefined;
  #cursor: string | null = null;

  constructor(parts: {
    collections: Collections;
    refuse: (error: ApiError) => boolean;
    onPick: (subject: StoredSubject) => void;
    onSettings: () => void;
  }) {
    this.#panel = new Panel(this.#root, parts.refuse);
    this.#collections = parts.collections;
    this.#onPick = parts.onPick;
    this.#k.addEventListener('change', () => {
      parts.onSettings();
      void this.update();
    });
    this.#more.addEventListener('click', () => void this.#browse(this.#cursor));
  }

  /** Pictures wanted. */
  get k(): number {
    return Number(this.#k.value);
  }

  async show(subject: Subject | undefined): Promise<void> {
    this.#subject = subject;
    await this.update();
  }

  focus(): void {
    this.#heading.focus();
  }

  /** After anything has changed that the answer depends on. */
  async update(): Promise<void> {
    const collection = this.#collections.selected;
    const subject = this.#subject;
    this.#panel.cancel();
    this.#more.hidden = true;
    this.#root.classList.toggle('without-collections', collection === undefined);
    this.#empty.hidden = collection !== undefined && collection.count > 0;
    this.#heading.textContent = subject === undefined ? 'Stored photos' : `Nearest to ${nameOf(subject)}`;
    if (collection === undefined || collection.count === 0) {
      this.#summary.textContent = '';
      this.#pictures.replaceChildren();
    } else if (subject === undefined) {
      await this.#browse(null);
    } else {
      await this.#search(subject, collection);
    }
  }

  async #search(subject: Subject, { name, count: images }: Collection): Promise<void> {
    await this.#panel.run(
      (signal) => this.#ask(subject, name, signal),
      ({ results, tookMs }) => {
        const nearest = results.length === 1 ? 'The nearest' : `The ${results.length} nearest`;
        this.#summary.textContent = `${nearest} of ${count(images)} in ${name}, in ${Math.round(tookMs)} ms. Pick one to see more like it.`;
        this.#pictures.replaceChildren(
          ...results.map((result) => pictureCard({ collection: name, ...result }, this.#onPick)),
        );
      },
    );
  }

  /** A stored image is searched by its vector in its own collection, and by its picture in another. */
  #ask(subject: Subject, collection: string, signal: AbortSignal): Promise<SearchAnswer> {
    const path = `${collectionPath(collection)}/search`;
    if (!('file' in subject) && subject.collection === collection) {
      return requestJson(path, { ...jsonBody({ id: subject.id, k: this.k }), signal });
    }
    return askAbout(subject, path, { k: this.k }, signal);
  }

  async #browse(cursor: string | null): Promise<void> {
    const collection = this.#collections.selected;
    if (collection === undefined) return;
    const { name, count: images } = collection;
    const query = new URLSearchParams({ limit: String(this.k), ...(cursor === null ? {} : { cursor }) });
    await this.#panel.run(
      (signal) => requestJson<ImageList>(`${collectionPath(name)}/images?${query}`, { signal }),
      (page) => {
        const cards = page.images.map(({ id, metadata }) =>
          pictureCard({ collection: name, id, metadata }, this.#onPick),
        );
        if (cursor === null) this.#pictures.replaceChildren(...cards);
        else this.#pictures.append(...cards);
        const shown = this.#pictures.children.length;
        this.#summary.textContent = `${count(shown)} of ${count(images)} in ${name}. Pick one to see more like it.`;
        this.#cursor = page.nextCursor;
        this.#more.hidden = page.nextCursor === null;
        // The button may have gone from under the keyboard's focus.
        if (cursor !== null) cards[0]?.querySelector('button')?.focus({ preventScroll: true });
      },
    );
  }
}
