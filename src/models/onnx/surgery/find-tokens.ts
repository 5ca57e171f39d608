import type { GraphProto, NodeProto, ValueInfoProto } from '../generated/onnx_pb.js';
import { attributeOf, type GraphIndex } from './graph-index.js';

/** Where a graph has its tokens, and its vector. */
export interface TokensFound {
  /** Value [B, D] of the file's own; absent where it gives all tokens and the first of them is meant. */
  readonly embedding?: string;
  /** Value [B, N, D] and what has to be done to it to get the tokens after the last LayerNorm; absent where no CLS token is picked. */
  readonly tokens?: {
    readonly value: string;
    /** In order; they work token by token. The first takes `from`. */
    readonly nodes: readonly NodeProto[];
    /** What the nodes take where here the value is to be put. */
    readonly from: string;
  };
}

/** What a LayerNorm is made of, whichever opset it was exported with. */
const PER_TOKEN = new Set([
  'LayerNormalization',
  'ReduceMean',
  'Sub',
  'Pow',
  'Mul',
  'Add',
  'Div',
  'Sqrt',
  'Cast',
  'Identity',
]);
/** Between the choice of a token and its LayerNorm: they drop the axis of tokens. */
const RESHAPING = new Set(['Squeeze', 'Flatten', 'Reshape', 'Identity']);

/**
 * Finds the tokens after the last LayerNorm: an output of its own, or what the CLS token was picked from.
 *
 * Where the LayerNorm comes after the choice, as in `norm(x[:, 0])`, it has to be done to the other tokens too.
 */
export function findTokens(index: GraphIndex, graph: GraphProto): TokensFound | undefined {
  const ranked = (rank: number) => graph.output.filter((output) => rankOf(output) === rank);
  const vector = ranked(2)[0] ?? graph.output.find((output) => rankOf(output) === undefined);
  const hidden = ranked(3).find(({ name }) => name === 'last_hidden_state');
  // Hugging Face's vector comes out of a pooling head that DINO does not have.
  const all = hidden ?? (vector === undefined ? ranked(3)[0] : undefined);
  if (all !== undefined) return { tokens: { value: all.name, nodes: [], from: all.name } };
  if (vector === undefined) return undefined;
  const tokens = tokensBehind(index, vector.name);
  return { embedding: vector.name, ...(tokens && { tokens }) };
}

function rankOf({ type }: ValueInfoProto): number | undefined {
  return type?.tensorType?.shape?.dim.length;
}

function tokensBehind(index: GraphIndex, vector: string): TokensFound['tokens'] {
  const collected = new Set<NodeProto>();
  const sources = new Set<string>();
  const walk = (value: string) => {
    const node = index.producer(value);
    if (node === undefined || !index.isFromImage(value)) return;
    if (!isPerToken(index, node)) {
      sources.add(value);
      return;
    }
    if (collected.has(node)) return;
    collected.add(node);
    node.input.forEach(walk);
  };
  walk(vector);
  const [from, ...more] = sources;
  if (from === undefined || more.length > 0) return undefined;
  const value = pickedFrom(index, from);
  if (value === undefined) return undefined;
  return { value, nodes: index.nodes.filter((node) => collected.has(node)), from };
}

function isPerToken(index: GraphIndex, node: NodeProto): boolean {
  if (!PER_TOKEN.has(node.opType)) return false;
  if (node.opType !== 'ReduceMean') return true;
  return index.intsOf(node, 'axes', 1)?.join() === '-1';
}

/** The tokens [B, N, D] that a vector [B, D] is the first of. */
function pickedFrom(index: GraphIndex, vector: string): string | undefined {
  let value = vector;
  for (let node = index.producer(value); node !== undefined; node = index.producer(value)) {
    if (node.opType === 'Gather') {
      const first = index.constantInts(node.input[1])?.join() === '0';
      return first && Number(attributeOf(node, 'axis')?.i ?? 0) === 1 ? node.input[0] : undefined;
    }
    if (node.opType === 'Slice') {
      const [start, end, axis] = [1, 2, 3].map((input) => index.constantInts(node.input[input]));
      return start?.join() === '0' && end?.join() === '1' && axis?.join() === '1' ? node.input[0] : undefined;
    }
    if (!RESHAPING.has(node.opType)) return undefined;
    value = node.input[0]!;
  }
  return undefined;
}
