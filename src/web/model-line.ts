import { requestJson, type Model, type ModelList } from './api.js';
import { create, element, percent } from './elements.js';

/** What scripts/evaluate.py writes into a manifest. */
interface KnnResult {
  readonly dataset: string;
  readonly k: number;
  readonly top1: number;
  readonly untrainedTop1?: number;
}

/** Shows the server's own model and what is known of it. @throws ApiError */
export async function showModel(): Promise<Model | undefined> {
  const { data } = await requestJson<ModelList>('v1/models');
  const model = data.find((candidate) => candidate.default);
  if (model === undefined) return undefined;
  const parts = [`${model.dimension} dimensions`, `${model.patchSize} px patches`];
  if (model.heads > 0) parts.push(`${model.heads} heads`);
  const line = element('model', HTMLElement);
  line.title = typeof model.manifest.description === 'string' ? model.manifest.description : '';
  line.replaceChildren(
    create('strong', { textContent: model.id }),
    ...[...parts, ...knnResults(model).map(describe)].map((text) => create('span', { textContent: text })),
  );
  element('lacking', HTMLElement).textContent = lackingOf(model);
  return model;
}

/** Why a part of the page is not there; empty where all of it is. */
function lackingOf({ id, outputs }: Model): string {
  const without = [
    ...(outputs.includes('attention') ? [] : ['attention maps and masks of them']),
    ...(outputs.includes('keys') ? [] : ['masks of TokenCut and LOST']),
  ];
  return without.length === 0 ? '' : `${id} can’t make ${without.join(', nor ')}: they are not shown here.`;
}

function describe({ dataset, k, top1, untrainedTop1 }: KnnResult): string {
  const before = untrainedTop1 === undefined ? '' : ` (untrained: ${percent(untrainedTop1, 1)})`;
  return `${k}-NN accuracy on ${dataset}: ${percent(top1, 1)}${before}`;
}

/** A manifest may have been written by hand: what is not understood is left out. */
function knnResults({ manifest }: Model): KnnResult[] {
  const { knn } = (manifest.evaluation ?? {}) as { knn?: unknown };
  if (!Array.isArray(knn)) return [];
  return (knn as Partial<KnnResult>[]).filter(
    (result): result is KnnResult =>
      typeof result.dataset === 'string' && typeof result.k === 'number' && typeof result.top1 === 'number',
  );
}
