import { imagePath, requestJson, type ApiError, type StoredImage } from './api.js';
import { count, create, element } from './elements.js';
import { Panel } from './panel.js';
import { fieldText, nameOf, subjectUrl, type Subject } from './subject.js';

/** The photo itself, alone and under the overlays, and what is known of it. */
export class PhotoPanel {
  readonly #panel: Panel;
  readonly #views = element('views', HTMLElement);
  readonly #photo = element('original-photo', HTMLImageElement);
  /** The same picture below the attention and the mask. */
  readonly #grounds = [
    element('attention-ground', HTMLImageElement),
    element('mask-ground', HTMLImageElement),
  ];
  readonly #facts = element('facts', HTMLElement);
  readonly #refusal = element('photo-problem', HTMLElement);
  #url = '';

  constructor(refuse: (error: ApiError) => boolean) {
    this.#panel = new Panel(element('original', HTMLElement), refuse);
  }

  async show(subject: Subject): Promise<void> {
    this.clear();
    this.#views.hidden = false;
    await this.#panel.run(
      async (signal) => {
        const facts = await factsOf(subject, signal);
        return { facts, url: await subjectUrl(subject, signal) };
      },
      ({ facts, url }) => this.#present(url, nameOf(subject), facts),
    );
  }

  /** Says at the place where photos are chosen why this one is not shown. */
  refuse(detail: string): void {
    this.#refusal.textContent = detail;
  }

  clear(): void {
    this.#panel.cancel();
    this.#views.hidden = true;
    this.#refusal.textContent = '';
    this.#facts.replaceChildren();
    for (const image of [this.#photo, ...this.#grounds]) image.removeAttribute('src');
    URL.revokeObjectURL(this.#url);
  }

  #present(url: string, name: string, facts: [string, string][]): void {
    this.#url = url;
    this.#photo.alt = name;
    this.#photo.onload = () => {
      const { naturalWidth: width, naturalHeight: height } = this.#photo;
      this.#views.style.setProperty('--ratio', String(width / height));
      const rows: [string, string][] = [['Name', name], ['Size', `${width} × ${height} px`], ...facts];
      this.#facts.replaceChildren(
        ...rows.map(([term, value]) =>
          create('div', {}, create('dt', { textContent: term }), create('dd', { textContent: value })),
        ),
      );
    };
    for (const image of [this.#photo, ...this.#grounds]) image.src = url;
  }
}

async function factsOf(subject: Subject, signal: AbortSignal): Promise<[string, string][]> {
  if ('file' in subject) return [['File', kilobytes(subject.file.size)]];
  const { collection, id } = subject;
  const { bytes, createdAt, metadata } = await requestJson<StoredImage>(imagePath(collection, id), {
    signal,
  });
  const stored = `in ${collection}, ${new Date(createdAt).toLocaleString()}`;
  const fields = Object.entries(metadata).map(([field, value]): [string, string] => [
    field,
    fieldText(value),
  ]);
  return [['File', kilobytes(bytes)], ['Stored', stored], ...fields];
}

function kilobytes(bytes: number): string {
  return `${count(Math.ceil(bytes / 1024))} KB`;
}
