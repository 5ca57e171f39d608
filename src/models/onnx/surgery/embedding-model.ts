import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { encodeModel } from '../encode-model.js';
import { keepFirstToken } from './first-token.js';
import { fixSize } from './fix-size.js';
import { foldNormalisation } from './fold-normalisation.js';
import { GraphIndex, inputsOf } from './graph-index.js';
import { readOnnx } from './read-onnx.js';

/** Who wrote a file whose graph is known here, node by node. */
const PRODUCER = 'dino-server';

export interface EmbeddingModelOptions {
  /** SHA-256 that the ONNX file must have. */
  readonly sha256: string;
  /** Side of the images in px. */
  readonly side: number;
}

/**
 * A model's graph for embeddings alone, of square images of one size: the last block's work is for the first token alone, the
 * normalisation is in the weights, and what depends on the size is constant (docs/performance.md tells what each gains). The
 * numbers stay those of the file but for rounding. The weights stay where they are, in the model's file or beside it:
 * what this gives is a graph of some 100 KB that refers to them by their places, and is good beside that file only.
 *
 * @returns the bytes of the ONNX file; undefined where another graph would not be faster, or the file is of another maker
 * @throws CheckpointError when it can't be read; Error when the file is another one
 */
export async function embeddingModel(
  path: string,
  { sha256, side }: EmbeddingModelOptions,
): Promise<Uint8Array | undefined> {
  let file: Uint8Array | undefined;
  const { model, weights, places } = await readOnnx(path, (bytes) => (file = bytes));
  if (createHash('sha256').update(file!).digest('hex') !== sha256)
    throw new Error(`${path} is another file now: load the model again`);
  if (model.producerName !== PRODUCER) return undefined;
  const graph = model.graph!;
  const index = new GraphIndex({ model, weights }, 'pixels');
  if (keepFirstToken(graph, index, 'embedding') === 0) return undefined;
  // A rounding more or less decides which integer a value becomes: an int8 model would answer something else.
  if (!graph.node.some(({ opType }) => opType === 'QuantizeLinear')) foldNormalisation(graph, index);
  fixSize(graph, side);
  // Shapes that a quantiser noted down are those of all tokens: ONNX Runtime would plan its memory by them.
  graph.valueInfo = [];

  const used = new Set(graph.node.flatMap(inputsOf));
  graph.initializer = graph.initializer.filter(({ name }) => used.has(name));
  const kept = weights.filter(({ header }) => used.has(header.name));
  const located = new Map(places);
  for (const weight of kept) {
    if (located.has(weight)) continue;
    // Its bytes are a part of the file's.
    const offset = (await weight.load()).byteOffset - file!.byteOffset;
    located.set(weight, { location: basename(path), offset });
  }
  const parts = encodeModel({ skeleton: model, weights: kept, precision: 'fp32' }, located, {});
  return Buffer.concat([...parts] as Uint8Array[]);
}
