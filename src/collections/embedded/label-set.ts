const PAGE_BITS = 16;
const WORDS_PER_PAGE = 2 ** PAGE_BITS / 32;

/**
 * A set of labels (uint32) as a bitmap in pages of 65,536 labels, so that membership costs two reads
 * however many labels there are and memory follows the pages in use, not the highest label.
 */
export class LabelSet {
  private readonly pages: (Uint32Array | undefined)[] = [];

  constructor(labels: Iterable<number>) {
    for (const label of labels) {
      const page = (this.pages[label >>> PAGE_BITS] ??= new Uint32Array(WORDS_PER_PAGE));
      page[wordOf(label)]! |= 1 << (label & 31);
    }
  }

  has(label: number): boolean {
    const page = this.pages[label >>> PAGE_BITS];
    return page !== undefined && (page[wordOf(label)]! & (1 << (label & 31))) !== 0;
  }
}

function wordOf(label: number): number {
  return (label >>> 5) & (WORDS_PER_PAGE - 1);
}
