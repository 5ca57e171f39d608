import type { GraphBuilder, LazyFloats } from '../onnx/graph-builder.js';

export interface LinearWeights {
  /** [out, in]. */
  readonly weight: LazyFloats;
  readonly bias?: LazyFloats;
}

export interface AttentionOptions {
  /** e.g. `blocks.0.attn`. */
  readonly name: string;
  /** Tokens after the norm, [B, N, D]. */
  readonly x: string;
  readonly heads: number;
  /** Queries, keys and values in one matrix, [3 D, D]. */
  readonly qkv: LinearWeights;
  readonly projection: LinearWeights;
  /** Turns queries and keys [B, heads, N, D / heads] by their positions. */
  readonly rotate?: (x: string, out: string) => string;
  /**
   * Number of tokens before the patches, where this layer's features are outputs of the graph: `attention` [B, heads, n] of the
   * first token's query to the patches, softmax over all tokens, and the patches' `keys` [B, n, D], not rotated.
   */
  readonly featuresAfter?: number;
}

/** Multi-head self-attention. @returns [B, N, D] */
export function attention(g: GraphBuilder, options: AttentionOptions): string {
  const { name, x, heads, qkv, projection, rotate, featuresAfter } = options;
  const dim = qkv.weight.shape[1]!;
  const headDim = dim / heads;
  const joined = g.linear(`${name}.qkv`, x, qkv.weight, qkv.bias);
  const split = g.op('Reshape', [joined, g.ints(0, 0, 3, heads, headDim)], { out: `${name}.split` });
  const part = (letter: 'q' | 'k' | 'v', index: number) =>
    g.op('Gather', [split, g.int(index)], { out: `${name}.${letter}`, attributes: { axis: 2 } });
  const transpose = (value: string, perm: readonly number[], out: string) =>
    g.op('Transpose', [value], { out, attributes: { perm } });

  const keys = part('k', 1);
  let queries = transpose(part('q', 0), [0, 2, 1, 3], `${name}.q_heads`);
  let keysByColumn;
  if (rotate === undefined) {
    keysByColumn = transpose(keys, [0, 2, 3, 1], `${name}.k_heads`);
  } else {
    queries = rotate(queries, `${name}.q_rotated`);
    const rotated = rotate(transpose(keys, [0, 2, 1, 3], `${name}.k_heads`), `${name}.k_rotated`);
    keysByColumn = transpose(rotated, [0, 1, 3, 2], `${name}.k_columns`);
  }
  const values = transpose(part('v', 2), [0, 2, 1, 3], `${name}.v_heads`);
  const scaled = g.op('Mul', [queries, g.float(headDim ** -0.5)], { out: `${name}.q_scaled` });
  const scores = g.op('MatMul', [scaled, keysByColumn], { out: `${name}.scores` });
  const weights = g.op('Softmax', [scores], { out: `${name}.softmax`, attributes: { axis: -1 } });
  if (featuresAfter !== undefined)
    attentionFeatures(g, { weights, keys, heads, dim, leading: featuresAfter });
  const mixed = g.op('MatMul', [weights, values], { out: `${name}.mixed` });
  const byToken = transpose(mixed, [0, 2, 1, 3], `${name}.mixed_tokens`);
  const merged = g.op('Reshape', [byToken, g.ints(0, 0, -1)], { out: `${name}.merged` });
  return g.linear(`${name}.proj`, merged, projection.weight, projection.bias);
}

/** The outputs `attention` and `keys`. `weights` is [B, heads, N, N], `keys` [B, N, heads, D / heads]. */
function attentionFeatures(
  g: GraphBuilder,
  options: {
    readonly weights: string;
    readonly keys: string;
    readonly heads: number;
    readonly dim: number;
    readonly leading: number;
  },
): void {
  const { weights, keys, heads, dim, leading } = options;
  const row = g.op('Gather', [weights, g.int(0)], { out: 'cls_attention', attributes: { axis: 2 } });
  g.output(patchesOnly(g, row, { axis: 2, leading, out: 'attention' }), ['batch', heads, 'patches']);
  const flat = g.op('Reshape', [keys, g.ints(0, 0, -1)], { out: 'all_keys' });
  g.output(patchesOnly(g, flat, { axis: 1, leading, out: 'keys' }), ['batch', 'patches', dim]);
}

/** Drops the first `leading` positions of an axis of tokens. */
export function patchesOnly(
  g: GraphBuilder,
  x: string,
  options: { readonly axis: number; readonly leading: number; readonly out: string },
): string {
  const { axis, leading, out } = options;
  // No axis is that long: to its end.
  const end = g.ints(Number.MAX_SAFE_INTEGER);
  return g.op('Slice', [x, g.ints(leading), end, g.ints(axis)], { out });
}
