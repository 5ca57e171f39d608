export interface Labelled {
  readonly label: string;
  /** Unit length. */
  readonly vector: Float32Array;
}

/** As DINO's authors evaluate: Caron et al. 2021, arXiv:2104.14294, appendix B. */
const [NEIGHBOURS, TEMPERATURE] = [20, 0.07];

/** Share of those asked whose neighbours, weighted by exp(cosine / 0.07), vote for their label. */
export function knnAccuracy(stored: readonly Labelled[], asked: readonly Labelled[]): number {
  const right = asked.filter(({ vector, label }) => {
    const scored = stored.map((one) => ({ label: one.label, score: cosine(vector, one.vector) }));
    scored.sort((a, b) => b.score - a.score);
    const votes = new Map<string, number>();
    for (const near of scored.slice(0, NEIGHBOURS)) {
      votes.set(near.label, (votes.get(near.label) ?? 0) + Math.exp(near.score / TEMPERATURE));
    }
    const [winner] = [...votes].reduce((best, vote) => (vote[1] > best[1] ? vote : best));
    return winner === label;
  });
  return right.length / asked.length;
}

export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new Error(`vectors of ${a.length} and ${b.length} elements`);
  let [product, squareA, squareB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    squareA += a[i]! * a[i]!;
    squareB += b[i]! * b[i]!;
  }
  return product / Math.sqrt(squareA * squareB);
}
