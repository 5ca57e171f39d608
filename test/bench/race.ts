import type { Contender } from './contenders.js';
import { cosine } from './knn.js';
import type { Table } from './report.js';
import { median, medianRatio } from './statistics.js';

type Rates<Name extends string> = Record<Name, number[]>;

/** Nobody is fast by doing something else: mean cosine of everybody's embeddings to ours. */
export async function agreementWith(
  ours: Contender,
  contenders: readonly Contender[],
  photos: readonly Buffer[],
): Promise<Table> {
  const truth = await ours.embed!(photos);
  const rows: Table = {};
  for (const contender of contenders) {
    if (contender === ours) continue;
    const vectors = await contender.embed?.(photos);
    if (vectors === undefined) continue;
    const cosines = vectors.map((vector, i) => cosine(vector, truth[i]!));
    rows[contender.name] = { cosine: cosines.reduce((sum, value) => sum + value, 0) / cosines.length };
  }
  return rows;
}

/** All in turn, A B A B. @returns images per second of each turn */
export async function race<Name extends string>(
  contenders: Readonly<Record<Name, Contender>>,
  { seconds, rounds }: { seconds: number; rounds: number },
): Promise<Rates<Name>> {
  const names = Object.keys(contenders) as Name[];
  const rates = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Rates<Name>;
  for (let round = 0; round < rounds; round++) {
    for (const name of names) rates[name].push(await contenders[name].rate(seconds));
  }
  return rates;
}

/** @param base the one that the others are compared with: the runtime alone */
export function throughputTable<Name extends string>(
  contenders: Readonly<Record<Name, Contender>>,
  rates: Readonly<Rates<Name>>,
  base: Name,
): Table {
  const row = (name: Name): Table[string] => ({
    'images/s': median(rates[name]),
    'over the runtime alone': medianRatio(rates[name], rates[base]),
  });
  return Object.fromEntries(
    (Object.keys(contenders) as Name[]).map((name) => [contenders[name].name, row(name)]),
  );
}
