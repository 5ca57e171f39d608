import type { NodeProto } from '../generated/onnx_pb.js';
import { attributeOf, type GraphIndex } from './graph-index.js';

/** How a graph cuts its image into tokens. */
export interface PatchesFound {
  /** In px. */
  readonly patchSize: number;
  /** D. */
  readonly dim: number;
  /** Tokens before the patches: CLS and registers. */
  readonly leading: number;
}

/** Operators that give what they take in another shape or number, token by token. */
const PASSED = new Set(['Identity', 'Expand', 'Cast', 'Tile', 'Add', 'Reshape', 'Unsqueeze', 'Dropout']);

/**
 * Finds the convolution that projects patches, its side and stride the same, and the tokens that are joined before it.
 *
 * @returns undefined where the graph is no vision transformer
 */
export function findPatches(index: GraphIndex): PatchesFound | undefined {
  const convolution = index.nodes.find(
    ({ opType, input }) => opType === 'Conv' && index.isFromImage(input[0]!),
  );
  if (convolution === undefined) return undefined;
  const [dim, channels, height, width] = index.constantShape(convolution.input[1]) ?? [];
  const strides = attributeOf(convolution, 'strides')?.ints.map(Number) ?? [1, 1];
  if (channels !== 3 || height !== width || strides.some((stride) => stride !== height)) return undefined;
  let leading = 0;
  for (const node of index.nodes) leading += leadingTokens(index, node);
  return leading === 0 ? undefined : { patchSize: height!, dim: dim!, leading };
}

/** Number of learnt tokens that a node puts before those of the image. */
function leadingTokens(index: GraphIndex, node: NodeProto): number {
  const axis = Number(attributeOf(node, 'axis')?.i ?? 0);
  if (node.opType !== 'Concat' || (axis !== 1 && axis !== -2)) return 0;
  const image = node.input.findIndex((name) => index.isFromImage(name));
  // What follows the patches, or stands among them, is no class token.
  if (image < 1 || node.input.filter((name) => index.isFromImage(name)).length > 1) return 0;
  const counts = node.input.slice(0, image).map((name) => learntTokens(index, name));
  return counts.includes(undefined) ? 0 : counts.reduce<number>((sum, count) => sum + count!, 0);
}

/** n of a learnt [1, n, D] behind operators that keep its tokens. */
function learntTokens(index: GraphIndex, value: string): number | undefined {
  let at: string | undefined = value;
  while (at !== undefined) {
    const shape = index.constantShape(at);
    if (shape !== undefined) return shape.length === 3 ? shape[1] : undefined;
    const node = index.producer(at);
    at = node !== undefined && PASSED.has(node.opType) ? node.input[0] : undefined;
  }
  return undefined;
}
