import type { NodeProto } from '../generated/onnx_pb.js';
import { attributeOf, type GraphIndex } from './graph-index.js';

/** The last attention over tokens of a graph. */
export interface AttentionFound {
  /** Value [B, heads, N, N]. */
  readonly weights: string;
  /** Value of the keys before they are scaled, and for each axis of [B, heads, d, N] the axis it has there. */
  readonly keys: { readonly value: string; readonly axes: readonly number[] };
  /** Undefined where the graph computes it. */
  readonly heads: number | undefined;
  /** Number of such attentions in the graph. */
  readonly depth: number;
}

/** Between the softmax and the product with the values: dropout, casts, and PyTorch's guard against rows of NaN. */
const AFTER_SOFTMAX = new Set(['Cast', 'Dropout', 'Identity', 'Where']);
const BEFORE_SOFTMAX = new Set(['Mul', 'Div', 'Add', 'Cast', 'Identity']);

/** Finds Softmax(q k^T) v of the last block; undefined where there is none. */
export function findAttention(index: GraphIndex): AttentionFound | undefined {
  const found = index.nodes
    .filter(({ opType }) => opType === 'Softmax')
    .map((node) => readAttention(index, node));
  const attentions = found.filter((attention) => attention !== undefined);
  const last = attentions.at(-1);
  return last && { ...last, depth: attentions.length };
}

/** The attention weights [B, heads, N, N] of all blocks, in their order. */
export function findTokenWeights(index: GraphIndex): string[] {
  return index.nodes
    .filter(({ opType, output }) => opType === 'Softmax' && mixesTokens(index, output[0]!))
    .map(({ output }) => output[0]!);
}

function readAttention(index: GraphIndex, softmax: NodeProto): Omit<AttentionFound, 'depth'> | undefined {
  const weights = softmax.output[0]!;
  if (!mixesTokens(index, weights)) return undefined;
  const product = scoresOf(index, softmax.input[0]!);
  if (product === undefined) return undefined;
  const keys = unscaledKeys(index, product.input[1]!);
  if (keys === undefined) return undefined;
  return { weights, keys, heads: headsOf(index, keys.value) };
}

/** Whether a product of weights and values follows whose heads are then joined per token: [B, heads, N, d] to [B, N, heads, d]. */
function mixesTokens(index: GraphIndex, weights: string): boolean {
  return index.consumers(weights).some((node) => {
    if (AFTER_SOFTMAX.has(node.opType)) return mixesTokens(index, node.output[0]!);
    if (node.opType !== 'MatMul' || node.input[0] !== weights) return false;
    return index.consumers(node.output[0]!).some((next) => {
      return next.opType === 'Transpose' && permOf(next)?.join() === '0,2,1,3';
    });
  });
}

/** The product of queries and keys behind scaling, a mask or a bias. */
function scoresOf(index: GraphIndex, value: string): NodeProto | undefined {
  const node = index.producer(value);
  if (node?.opType === 'MatMul') return node;
  if (node === undefined || !BEFORE_SOFTMAX.has(node.opType)) return undefined;
  const from = node.input.filter((name) => index.isFromImage(name));
  return from.length === 1 ? scoresOf(index, from[0]!) : undefined;
}

/** Walks from keys [B, heads, d, N] up through scaling and transposing. */
function unscaledKeys(index: GraphIndex, value: string): AttentionFound['keys'] | undefined {
  let axes: readonly number[] = [0, 1, 2, 3];
  let at = value;
  let transposed = false;
  for (;;) {
    const node = index.isFromImage(at) ? index.producer(at) : undefined;
    const step = node && (transposing(node) ?? transposingInParts(index, node));
    if (step !== undefined) {
      axes = axes.map((axis) => step.perm[axis]!);
      transposed = true;
      at = step.input;
    } else if (node?.opType === 'Cast' || node?.opType === 'Identity' || (node && isScaling(index, node))) {
      at = node.input.find((name) => index.isFromImage(name))!;
    } else {
      return transposed ? { value: at, axes } : undefined;
    }
  }
}

function transposing(node: NodeProto): { perm: readonly number[]; input: string } | undefined {
  const perm = node.opType === 'Transpose' ? permOf(node) : undefined;
  return perm?.length === 4 ? { perm, input: node.input[0]! } : undefined;
}

/** PyTorch's newer exporter joins batch and heads, exchanges the other two axes, and parts them again. */
function transposingInParts(index: GraphIndex, node: NodeProto): ReturnType<typeof transposing> {
  const exchange = node.opType === 'Reshape' ? index.producer(node.input[0]) : undefined;
  if (exchange?.opType !== 'Transpose' || permOf(exchange)?.join() !== '0,2,1') return undefined;
  const joined = index.producer(exchange.input[0]);
  return joined?.opType === 'Reshape' ? { perm: [0, 1, 3, 2], input: joined.input[0]! } : undefined;
}

/** Whether a node multiplies or divides by one number, be it constant or made of a size. */
function isScaling(index: GraphIndex, node: NodeProto): boolean {
  if (node.opType !== 'Mul' && node.opType !== 'Div') return false;
  const others = node.input.filter((name) => !index.isFromImage(name));
  if (others.length !== 1) return false;
  const shape = index.constantShape(others[0]);
  return shape === undefined || shape.every((size) => size === 1);
}

/** Heads by the Reshape that splits tokens into [..., heads, d]. */
function headsOf(index: GraphIndex, keys: string): number | undefined {
  let node = index.producer(keys);
  while (node !== undefined && node.opType !== 'Reshape') {
    const passed = ['Gather', 'Split', 'Squeeze', 'Slice', 'Transpose', 'Identity', 'Unsqueeze'].includes(
      node.opType,
    );
    node = passed ? index.producer(node.input[0]) : undefined;
  }
  const sizes = node && sizesOf(index, node.input[1]!);
  const heads = sizes?.at(-2);
  return heads !== undefined && heads > 0 ? heads : undefined;
}

/** A shape's numbers; undefined where one is computed. */
function sizesOf(index: GraphIndex, shape: string): (number | undefined)[] {
  const constant = index.constantInts(shape);
  if (constant !== undefined) return [...constant];
  const node = index.producer(shape);
  if (node?.opType === 'Concat') return node.input.flatMap((part) => sizesOf(index, part));
  if (node?.opType === 'Unsqueeze' || node?.opType === 'Cast') return sizesOf(index, node.input[0]!);
  return [undefined];
}

function permOf(node: NodeProto): number[] | undefined {
  return attributeOf(node, 'perm')?.ints.map(Number);
}
