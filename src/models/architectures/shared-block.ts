import type { StateDict } from '../checkpoints/tensor.js';
import type { GraphBuilder } from '../onnx/graph-builder.js';
import { attention, patchesOnly, type AttentionOptions, type LinearWeights } from './shared-attention.js';
import { tensorOf } from './shared-tensors.js';

export interface BlockOptions {
  /** Of the block's tensors and values, e.g. `blocks.0`. */
  readonly prefix: string;
  readonly state: StateDict;
  /** [B, N, D]. */
  readonly x: string;
  readonly heads: number;
  /** Of the LayerNorms. */
  readonly epsilon: number;
  /**
   * `gelu`: fc1, GELU, fc2; `swiglu`: w3(silu(w1 x) * w2 x); `swiglu-joined`: the same with w1 and w2 in one matrix w12.
   */
  readonly mlp?: 'gelu' | 'swiglu' | 'swiglu-joined';
  /** Whether the branches are scaled per channel by `ls1.gamma` and `ls2.gamma`. */
  readonly layerScale?: boolean;
  readonly rotate?: AttentionOptions['rotate'];
  readonly featuresAfter?: AttentionOptions['featuresAfter'];
}

/** A transformer block that normalises before each branch; tensors are named as in timm and the official code. @returns [B, N, D] */
export function transformerBlock(g: GraphBuilder, options: BlockOptions): string {
  const { prefix, state, x, heads, epsilon, mlp = 'gelu', rotate, featuresAfter } = options;
  const norm = (name: string, value: string) =>
    g.layerNorm(name, value, tensorOf(state, `${name}.weight`), tensorOf(state, `${name}.bias`), epsilon);
  const scale = (name: string, value: string) =>
    options.layerScale
      ? g.op('Mul', [value, g.weight(`${name}.gamma`, tensorOf(state, `${name}.gamma`))], {
          out: `${name}.out`,
        })
      : value;

  const mixed = attention(g, {
    name: `${prefix}.attn`,
    x: norm(`${prefix}.norm1`, x),
    heads,
    qkv: linearWeights(state, `${prefix}.attn.qkv`),
    projection: linearWeights(state, `${prefix}.attn.proj`),
    ...(rotate && { rotate }),
    ...(featuresAfter !== undefined && { featuresAfter }),
  });
  const between = g.op('Add', [x, scale(`${prefix}.ls1`, mixed)], { out: `${prefix}.residual1` });
  const hidden = feedForward(g, {
    name: `${prefix}.mlp`,
    state,
    x: norm(`${prefix}.norm2`, between),
    kind: mlp,
  });
  return g.op('Add', [between, scale(`${prefix}.ls2`, hidden)], { out: `${prefix}.residual2` });
}

function feedForward(
  g: GraphBuilder,
  options: {
    readonly name: string;
    readonly state: StateDict;
    readonly x: string;
    readonly kind: NonNullable<BlockOptions['mlp']>;
  },
): string {
  const { name, state, x, kind } = options;
  const linear = (layer: string, value: string) => {
    const { weight, bias } = linearWeights(state, `${name}.${layer}`);
    return g.linear(`${name}.${layer}`, value, weight, bias);
  };
  if (kind === 'gelu') return linear('fc2', g.gelu(name, linear('fc1', x)));
  let gate: string;
  let value: string;
  if (kind === 'swiglu') {
    [gate, value] = [linear('w1', x), linear('w2', x)];
  } else {
    [gate, value] = [`${name}.gate`, `${name}.value`];
    g.opMany('Split', [linear('w12', x)], { outs: [gate, value], attributes: { axis: -1, num_outputs: 2 } });
  }
  const sigmoid = g.op('Sigmoid', [gate], { out: `${name}.sigmoid` });
  const silu = g.op('Mul', [gate, sigmoid], { out: `${name}.silu` });
  return linear('w3', g.op('Mul', [silu, value], { out: `${name}.gated` }));
}

function linearWeights(state: StateDict, name: string): LinearWeights {
  const bias = state.get(`${name}.bias`);
  return { weight: tensorOf(state, `${name}.weight`), ...(bias && { bias }) };
}

/**
 * The first token as `embedding` [B, D], and the patches as `patch_tokens` [B, n, D].
 *
 * @param options.x all tokens after the last norm, [B, N, D]
 * @param options.leading number of tokens before the patches: CLS and registers
 */
export function tokenFeatures(
  g: GraphBuilder,
  options: { readonly x: string; readonly dim: number; readonly leading: number },
): void {
  const { x, dim, leading } = options;
  // A scalar index drops the token axis.
  const cls = g.op('Gather', [x, g.int(0)], { out: 'embedding', attributes: { axis: 1 } });
  g.output(cls, ['batch', dim]);
  g.output(patchesOnly(g, x, { axis: 1, leading, out: 'patch_tokens' }), ['batch', 'patches', dim]);
}

/** One vector per image from a stored one, [1, n, D] to [B, n, D]. */
export function perImage(
  g: GraphBuilder,
  options: {
    readonly x: string;
    readonly batch: string;
    readonly shape: readonly [number, number];
    readonly out: string;
  },
): string {
  const { x, batch, shape, out } = options;
  const full = g.op('Concat', [batch, g.ints(...shape)], { out: `${out}_shape`, attributes: { axis: 0 } });
  return g.op('Expand', [x, full], { out });
}
