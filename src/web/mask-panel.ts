import type { ApiError, Mask, MaskAnswer, Model } from './api.js';
import { count, create, element, percent } from './elements.js';
import { drawMask, readMask, type MaskPicture } from './mask-picture.js';
import { Panel } from './panel.js';
import { askAbout, nameOf, type Subject } from './subject.js';

/** Methods on the keys take no threshold and have no heads. */
const KEY_METHODS = ['tokencut', 'lost', 'maskcut', 'deep-spectral', 'point'];

/** Rest after the last move of the slider before the server is asked. */
const DEBOUNCE_MS = 150;

interface Found {
  readonly answer: MaskAnswer;
  readonly mask: Mask;
  readonly png: Blob;
  readonly picture: MaskPicture;
}

/** The object that stands out, over the photo, with its measures. */
export class MaskPanel {
  readonly #root = element('mask', HTMLElement);
  readonly #panel: Panel;
  readonly #canvas = element('mask-map', HTMLCanvasElement);
  readonly #threshold = element('threshold', HTMLInputElement);
  readonly #head = element('mask-head', HTMLSelectElement);
  readonly #pointChoice = element('mask-point', HTMLOptionElement);
  readonly #refine = element('mask-refine', HTMLInputElement);
  readonly #measures = element('measures', HTMLElement);
  readonly #reason = element('mask-reason', HTMLElement);
  readonly #download = element('mask-download', HTMLAnchorElement);
  readonly #onSettings: () => void;
  #subject: Subject | undefined;
  #timer: number | undefined;
  /** What was clicked, `x,y` in px of the photo. */
  #point = '';

  constructor(parts: { refuse: (error: ApiError) => boolean; onSettings: () => void }) {
    this.#panel = new Panel(this.#root, parts.refuse);
    this.#onSettings = parts.onSettings;
    this.#threshold.addEventListener('input', () => this.#changed(DEBOUNCE_MS));
    this.#head.addEventListener('change', () => this.#changed(0));
    this.#refine.addEventListener('change', () => this.#changed(0));
    element('mask-frame', HTMLElement).addEventListener('click', (event) => this.#clicked(event));
  }

  /** Share of the attention mass that the mask holds. */
  get threshold(): number {
    return Number(this.#threshold.value);
  }

  /** Offers the methods that the model has the features for; without any the panel is not there. */
  offer({ heads, outputs }: Model): void {
    this.#head.append(
      ...Array.from({ length: heads }, (_, head) => new Option(`Head ${head}`, String(head))),
    );
    for (const option of [...this.#head.options]) {
      const needed = KEY_METHODS.includes(option.value) ? 'keys' : 'attention';
      if (!outputs.includes(needed)) option.remove();
    }
    this.#root.hidden = this.#head.options.length === 0;
    this.#threshold.disabled = KEY_METHODS.includes(this.#head.value);
  }

  async show(subject: Subject): Promise<void> {
    this.clear();
    if (this.#root.hidden) return;
    this.#subject = subject;
    await this.#ask(subject);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#panel.cancel();
    this.#subject = undefined;
    // A point of the last photo says nothing of the next.
    if (this.#head.value === 'point') this.#head.selectedIndex = 0;
    this.#pointChoice.disabled = true;
    this.#threshold.disabled = KEY_METHODS.includes(this.#head.value);
    this.#empty();
  }

  #changed(delayMs: number): void {
    element('threshold-value', HTMLOutputElement).value = percent(this.threshold);
    this.#threshold.disabled = KEY_METHODS.includes(this.#head.value);
    this.#onSettings();
    clearTimeout(this.#timer);
    const subject = this.#subject;
    if (subject !== undefined) this.#timer = window.setTimeout(() => void this.#ask(subject), delayMs);
  }

  #clicked({ clientX, clientY }: MouseEvent): void {
    const ground = element('mask-ground', HTMLImageElement);
    const { left, top, width, height } = ground.getBoundingClientRect();
    const [x, y] = [(clientX - left) / width, (clientY - top) / height];
    if (this.#subject === undefined || !this.#pointChoice.isConnected) return;
    if (!(x >= 0 && x < 1 && y >= 0 && y < 1)) return;
    // As the browser shows it, and so as the server counts: upright.
    this.#point = `${Math.floor(x * ground.naturalWidth)},${Math.floor(y * ground.naturalHeight)}`;
    this.#pointChoice.disabled = false;
    this.#head.value = 'point';
    this.#changed(0);
  }

  async #ask(subject: Subject): Promise<void> {
    const options = { ...this.#source(), format: 'png' };
    await this.#panel.run(
      async (signal) => {
        const answer = await askAbout<MaskAnswer>(subject, 'v1/masks', options, signal);
        const [mask] = answer.masks;
        if (mask?.png === undefined) return undefined;
        const png = decodeDataUri(mask.png);
        return { answer, mask, png, picture: await readMask(png) };
      },
      (found) => {
        if (found === undefined) {
          this.#empty();
          this.#reason.textContent = 'Nothing stands out.';
        } else {
          this.#present(found, nameOf(subject));
        }
      },
    );
  }

  #source(): object {
    const from = this.#head.value;
    const refine = this.#refine.checked ? { refine: 'bilateral' } : {};
    if (from === 'point') return { point: this.#point, ...refine };
    if (KEY_METHODS.includes(from)) return { method: from, ...refine };
    const head = Number.isNaN(Number(from)) ? from : Number(from);
    return { threshold: this.threshold, head, ...refine };
  }

  #present({ answer, mask, png, picture }: Found, name: string): void {
    drawMask(this.#canvas, picture, mask.bbox);
    this.#canvas.ariaLabel = `Mask over ${name}: ${mask.reason}`;
    this.#canvas.hidden = false;
    const [x, y, width, height] = mask.bbox;
    const rows = [
      ['Area', `${percent(mask.area / (answer.width * answer.height), 1)}`, `${count(mask.area)} px`],
      ['Box', `${width} × ${height}`, `px, at ${x}, ${y}`],
      ['Score', mask.score.toFixed(2), whence(answer, mask)],
    ];
    this.#measures.replaceChildren(
      ...rows.map(([term, value, more]) =>
        create(
          'div',
          {},
          create('dt', { textContent: term }),
          create('dd', {}, create('strong', { textContent: value }), create('small', { textContent: more })),
        ),
      ),
    );
    this.#reason.textContent = mask.reason;
    URL.revokeObjectURL(this.#download.href);
    this.#download.href = URL.createObjectURL(png);
    this.#download.download = `${
      name
        .split('/')
        .at(-1)
        ?.replace(/\.\w+$/, '') ?? 'photo'
    }-mask.png`;
    this.#download.hidden = false;
  }

  #empty(): void {
    this.#canvas.hidden = true;
    this.#download.hidden = true;
    this.#measures.replaceChildren();
    this.#reason.textContent = '';
  }
}

function whence({ method }: MaskAnswer, { head }: Mask): string {
  if (method !== 'attention') return method;
  return head === null ? 'all heads' : `head ${head}`;
}

/** The page's policy forbids to fetch a `data:` URI. */
function decodeDataUri(uri: string): Blob {
  const bytes = Uint8Array.from(atob(uri.slice(uri.indexOf(',') + 1)), (character) =>
    character.charCodeAt(0),
  );
  return new Blob([bytes], { type: 'image/png' });
}
