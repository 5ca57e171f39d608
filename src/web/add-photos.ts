import { ApiError } from './api.js';
import { createCollection, uploadPhotos, type Photo, type UploadProgress } from './batch-upload.js';
import type { Collections } from './collections.js';
import { count, create, element } from './elements.js';

/** Failures listed by name; the rest is counted. */
const MAX_LISTED = 20;

/** The form that fills a collection, and makes it where it is new. */
export class AddPhotos {
  readonly #form = element('add-form', HTMLFormElement);
  readonly #files = element('add-files', HTMLInputElement);
  readonly #folder = element('add-folder', HTMLInputElement);
  readonly #chosen = element('add-chosen', HTMLElement);
  readonly #collection = element('add-collection', HTMLInputElement);
  readonly #class = element('add-class', HTMLInputElement);
  readonly #submit = element('add-submit', HTMLButtonElement);
  readonly #stop = element('add-stop', HTMLButtonElement);
  readonly #bar = element('add-progress', HTMLProgressElement);
  readonly #status = element('add-status', HTMLElement);
  readonly #failures = element('add-failures', HTMLUListElement);
  readonly #problem = element('add-problem', HTMLElement);
  readonly #collections: Collections;
  readonly #onStored: (collection: string) => Promise<void>;
  #photos: File[] = [];
  #upload: AbortController | undefined;

  constructor(parts: { collections: Collections; onStored: (collection: string) => Promise<void> }) {
    this.#collections = parts.collections;
    this.#onStored = parts.onStored;
    for (const input of [this.#files, this.#folder]) {
      input.addEventListener('change', () => {
        // A folder has other files too, and the system's own.
        const files = [...(input.files ?? [])];
        this.choose(input === this.#folder ? files.filter(({ type }) => type.startsWith('image/')) : files);
        input.value = '';
      });
    }
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#store();
    });
    this.#stop.addEventListener('click', () => this.#upload?.abort());
  }

  choose(files: File[]): void {
    this.#photos = files;
    const bytes = files.reduce((sum, { size }) => sum + size, 0);
    const what = files.length === 1 ? files[0]!.name : `${count(files.length)} photos`;
    this.#chosen.textContent =
      files.length === 0 ? 'No photo chosen yet.' : `${what}, ${(bytes / 1e6).toFixed(1)} MB`;
    this.#status.textContent = '';
    this.#problem.textContent = '';
    this.#bar.hidden = true;
    this.#failures.replaceChildren();
  }

  async #store(): Promise<void> {
    const files = this.#photos;
    if (files.length === 0) {
      this.#problem.textContent = 'Choose photos first.';
      return;
    }
    const name = this.#collection.value.trim();
    this.#begin(files.length);
    const { signal } = (this.#upload = new AbortController());
    let progress: UploadProgress = { done: 0, stored: 0, unchanged: 0, failures: [] };
    let end = '';
    try {
      if (!this.#collections.has(name)) await createCollection(name, signal);
      await uploadPhotos({
        collection: name,
        photos: files.map((file) => this.#describe(file)),
        signal,
        onProgress: (now) => this.#report((progress = now), files.length),
      });
      this.choose([]);
    } catch (error) {
      if (signal.aborted) end = 'Stopped: ';
      else if (error instanceof ApiError) this.#problem.textContent = error.message;
      else throw error;
    } finally {
      this.#end();
    }
    this.#report(progress, files.length, end);
    await this.#onStored(name);
  }

  #describe(file: File): Photo {
    const folder = file.webkitRelativePath.split('/').at(-2);
    const label = this.#class.value.trim() || folder;
    return { file, metadata: { file: file.name, ...(label === undefined ? {} : { class: label }) } };
  }

  #begin(total: number): void {
    this.#problem.textContent = '';
    this.#failures.replaceChildren();
    this.#submit.disabled = true;
    this.#stop.hidden = false;
    this.#bar.max = total;
    this.#bar.value = 0;
    this.#bar.hidden = false;
    this.#status.textContent = `0 of ${count(total)}`;
  }

  #end(): void {
    this.#upload = undefined;
    this.#submit.disabled = false;
    this.#stop.hidden = true;
    this.#bar.hidden = true;
  }

  #report({ done, stored, unchanged, failures }: UploadProgress, total: number, before = ''): void {
    this.#bar.value = done;
    const parts = [`${count(stored)} stored`];
    if (unchanged > 0) parts.push(`${count(unchanged)} there already`);
    if (failures.length > 0) parts.push(`${count(failures.length)} refused`);
    this.#status.textContent = `${before}${count(done)} of ${count(total)}: ${parts.join(', ')}`;
    const listed = failures
      .slice(0, MAX_LISTED)
      .map(({ name, detail }) => create('li', {}, create('strong', { textContent: name }), ` ${detail}`));
    if (failures.length > MAX_LISTED)
      listed.push(create('li', { textContent: `and ${count(failures.length - MAX_LISTED)} more` }));
    this.#failures.replaceChildren(...listed);
  }
}
