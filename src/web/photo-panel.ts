import { count, element } from './elements.js';
import { Panel } from './panel.js';
import { nameOf, subjectUrl, type Subject } from './subject.js';

/** The photo itself, alone and under the overlays. */
export class PhotoPanel {
  readonly #panel = new Panel(element('original', HTMLElement));
  readonly #views = element('views', HTMLElement);
  readonly #photo = element('original-photo', HTMLImageElement);
  /** The same picture below the attention and the mask. */
  readonly #grounds = [element('attention-ground', HTMLImageElement), element('mask-ground', HTMLImageElement)];
  readonly #facts = element('facts', HTMLElement);
  readonly #refusal = element('photo-problem', HTMLElement);
  #url = '';

  async show(subject: Subject): Promise<void> {
    this.clear();
    this.#views.hidden = false;
    await this.#panel.run(
      async (signal) => {
        const url = await subjectUrl(subject, signal);
        if (signal.aborted) URL.revokeObjectURL(url);
        return url;
      },
      (url) => this.#present(url, subject),
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
    this.#facts.textContent = '';
    for (const image of [this.#photo, ...this.#grounds]) image.removeAttribute('src');
    URL.revokeObjectURL(this.#url);
  }

  #present(url: string, subject: Subject): void {
    this.#url = url;
    const name = nameOf(subject);
    const facts = 'file' in subject ? [`${count(Math.ceil(subject.file.size / 1024))} KB`] : [`in ${subject.collection}`];
    this.#photo.alt = name;
    this.#photo.onload = () => {
      const { naturalWidth: width, naturalHeight: height } = this.#photo;
      this.#views.style.setProperty('--ratio', String(width / height));
      this.#facts.textContent = [name, `${width} × ${height} px`, ...facts].join(' · ');
    };
    for (const image of [this.#photo, ...this.#grounds]) image.src = url;
  }
}
