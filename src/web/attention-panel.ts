import type { ApiError, AttentionMaps, Model } from './api.js';
import { contextOf, create, element, percent } from './elements.js';
import { heatPixels, meanOfHeads } from './heat-map.js';
import { Panel } from './panel.js';
import { askAbout, nameOf, type Subject } from './subject.js';

const MEAN = 'mean';

/**
 * What the model looks at, over the photo. All heads come as numbers in one answer and are drawn here, one pixel a
 * patch, so that another head or opacity costs the server nothing.
 */
export class AttentionPanel {
  readonly #root = element('attention', HTMLElement);
  readonly #panel: Panel;
  readonly #canvas = element('attention-map', HTMLCanvasElement);
  readonly #heads = element('heads', HTMLElement);
  readonly #opacity = element('opacity', HTMLInputElement);
  readonly #smooth = element('smooth', HTMLInputElement);
  readonly #grid = element('attention-grid', HTMLElement);
  #maps: AttentionMaps | undefined;
  #name = '';

  constructor(refuse: (error: ApiError) => boolean) {
    this.#panel = new Panel(this.#root, refuse);
    this.#heads.addEventListener('change', () => this.#draw());
    this.#opacity.addEventListener('input', () => this.#style());
    this.#smooth.addEventListener('change', () => this.#style());
    this.#style();
  }

  /** Is only there where the model has attention. */
  offer({ outputs }: Model): void {
    this.#root.hidden = !outputs.includes('attention');
  }

  async show(subject: Subject): Promise<void> {
    this.clear();
    if (this.#root.hidden) return;
    this.#name = nameOf(subject);
    await this.#panel.run(
      (signal) => askAbout<AttentionMaps>(subject, 'v1/attention', {}, signal),
      (maps) => {
        this.#maps = maps;
        this.#offerHeads(maps.heads);
        this.#draw();
      },
    );
  }

  clear(): void {
    this.#panel.cancel();
    this.#maps = undefined;
    this.#canvas.hidden = true;
    this.#grid.textContent = '';
  }

  /** Another photo keeps the choice. */
  #offerHeads(heads: number): void {
    const choices = [MEAN, ...Array.from({ length: heads }, (_, head) => String(head))];
    const before = choices.includes(this.#head) ? this.#head : MEAN;
    this.#heads.replaceChildren(
      ...choices.map((value) =>
        create(
          'label',
          { className: 'segment' },
          create('input', { type: 'radio', name: 'attention-head', value, checked: value === before }),
          create('span', { textContent: value === MEAN ? 'Mean' : value }),
        ),
      ),
    );
  }

  get #head(): string {
    return this.#heads.querySelector<HTMLInputElement>('input:checked')?.value ?? MEAN;
  }

  #draw(): void {
    if (this.#maps === undefined) return;
    const { attention, grid, heads } = this.#maps;
    const head = this.#head;
    const values = head === MEAN ? meanOfHeads(attention) : attention[Number(head)]!;
    this.#canvas.width = grid.width;
    this.#canvas.height = grid.height;
    contextOf(this.#canvas).putImageData(new ImageData(heatPixels(values), grid.width, grid.height), 0, 0);
    this.#canvas.ariaLabel = `Attention of ${head === MEAN ? `all ${heads} heads, averaged,` : `head ${head}`} over ${this.#name}`;
    this.#canvas.hidden = false;
    this.#grid.textContent = `${grid.width} × ${grid.height} patches`;
  }

  #style(): void {
    this.#canvas.style.opacity = this.#opacity.value;
    this.#canvas.classList.toggle('smooth', this.#smooth.checked);
    element('opacity-value', HTMLOutputElement).value = percent(Number(this.#opacity.value));
  }
}
