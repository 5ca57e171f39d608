import { TensorProto_DataType as DataType } from '../onnx/generated/onnx_pb.js';
import type { StateDict } from '../checkpoints/tensor.js';
import type { GraphBuilder } from '../onnx/graph-builder.js';
import { mapped, transpose } from '../onnx/lazy-floats.js';
import { batchNorm, convolve } from './convolution.js';
import { attentionFeatures, patchesOnly } from './shared-attention.js';
import { perImage, tokenFeatures } from './shared-block.js';
import { patchGrid, type PatchGrid } from './shared-pixels.js';
import { tensorOf } from './shared-tensors.js';
import { mapToTokens, normalisedMap, tokensToMap } from './token-map.js';

const LAYER_NORM_EPSILON = 1e-6;
/** Sines and cosines per axis of the positional encoding, and what its wave lengths grow to. */
export const POSITION_DIM = 32;
const POSITION_TEMPERATURE = 10_000;
const POSITION_EPSILON = 1e-6;
/** Of PyTorch's l2 normalisation. */
const NORM_EPSILON = 1e-12;

export interface XcitShape {
  readonly dim: number;
  /** Number of cross-covariance blocks. */
  readonly depth: number;
  /** Number of class-attention blocks after them. */
  readonly classDepth: number;
  readonly heads: number;
  readonly mlpDim: number;
  /** Number of halving convolutions before the blocks. */
  readonly halvings: number;
  /** 2 ** halvings. */
  readonly patchSize: number;
}

/** Adds an XCiT (El-Nouby et al. 2021, arXiv:2106.09681; https://github.com/facebookresearch/xcit/blob/main/xcit.py). */
export function buildXcit(g: GraphBuilder, state: StateDict, shape: XcitShape): void {
  const builder = new XcitBuilder(g, state, shape);
  let x = builder.patchTokens();
  for (let index = 0; index < shape.depth; index++) x = builder.crossCovarianceBlock(`blocks.${index}`, x);
  x = builder.withClsToken(x);
  for (let index = 0; index < shape.classDepth; index++) {
    x = builder.classBlock(`cls_attn_blocks.${index}`, x, index === shape.classDepth - 1);
  }
  tokenFeatures(g, { x: builder.norm('norm', x), dim: shape.dim, leading: 1 });
}

class XcitBuilder {
  readonly #g: GraphBuilder;
  readonly #state: StateDict;
  readonly #shape: XcitShape;
  readonly #pixels: string;
  readonly #grid: PatchGrid;

  constructor(g: GraphBuilder, state: StateDict, shape: XcitShape) {
    this.#g = g;
    this.#state = state;
    this.#shape = shape;
    this.#pixels = normalisedMap(g);
    this.#grid = patchGrid(g, shape.patchSize);
  }

  /** The stem's tokens with their positions, [B, n, D]. */
  patchTokens(): string {
    const g = this.#g;
    const { dim, halvings } = this.#shape;
    let map = this.#pixels;
    for (let step = 0; step < halvings; step++) {
      const name = `patch_embed.proj.${2 * step}`;
      const convolution = { name: `${name}.0`, norm: `${name}.1`, stride: 2, padding: 1 };
      map = convolve(g, this.#state, step === 0 ? map : g.gelu(name, map), convolution);
    }
    const patches = mapToTokens(g, { map, grid: this.#grid, dim, out: 'patches' });
    return g.op('Add', [patches, this.#positions()], { out: 'patches_placed' });
  }

  /**
   * Sines and cosines of each row and column, projected. The projection of both together is the sum of theirs, so that no
   * table of the whole grid is needed.
   *
   * @returns [n, D]
   */
  #positions(): string {
    const g = this.#g;
    const { dim } = this.#shape;
    const name = 'pos_embeder.token_projection';
    const weight = tensorOf(this.#state, `${name}.weight`);
    const half = (axis: 'rows' | 'columns', index: number) => {
      const part = mapped(weight, [POSITION_DIM, dim], (values) =>
        transpose(values, dim, 2 * POSITION_DIM).slice(
          index * POSITION_DIM * dim,
          (index + 1) * POSITION_DIM * dim,
        ),
      );
      const waves = this.#waves(axis);
      return g.op('MatMul', [waves, g.weight(`${name}.${axis}.weight`, part)], { out: `${name}.${axis}` });
    };
    const byRow = g.op('Unsqueeze', [half('rows', 0), g.ints(1)], { out: 'positions_by_row' });
    const sum = g.op('Add', [byRow, half('columns', 1)], { out: 'positions_sum' });
    const flat = g.op('Reshape', [sum, g.ints(-1, dim)], { out: 'positions_flat' });
    const bias = g.weight(`${name}.bias`, tensorOf(this.#state, `${name}.bias`));
    return g.op('Add', [flat, bias], { out: 'positions' });
  }

  /** Sine and cosine in turn of every wave at the places 1..count of an axis, [count, POSITION_DIM]. */
  #waves(axis: 'rows' | 'columns'): string {
    const g = this.#g;
    const name = `position_${axis}`;
    const count = g.op('Cast', [this.#grid[axis]], {
      out: `${name}_count`,
      attributes: { to: DataType.FLOAT },
    });
    const last = g.op('Squeeze', [count], { out: `${name}_last` });
    const end = g.op('Add', [last, g.float(1)], { out: `${name}_end` });
    const places = g.op('Range', [g.float(1), end, g.float(1)], { out: `${name}_places` });
    const length = g.op('Add', [last, g.float(POSITION_EPSILON)], { out: `${name}_length` });
    const relative = g.op('Div', [places, length], { out: `${name}_relative` });
    const angles = g.op('Mul', [relative, g.float(2 * Math.PI)], { out: `${name}_angles` });
    const column = g.op('Unsqueeze', [angles, g.ints(1)], { out: `${name}_column` });
    const lengths = Array.from(
      { length: POSITION_DIM / 2 },
      (_, wave) => POSITION_TEMPERATURE ** ((2 * wave) / POSITION_DIM),
    );
    const phases = g.op('Div', [column, g.floats(...lengths)], { out: `${name}_phases` });
    const pair = ['Sin', 'Cos'].map((kind) => {
      const out = `${name}_${kind.toLowerCase()}`;
      return g.op('Unsqueeze', [g.op(kind, [phases], { out }), g.ints(2)], { out: `${out}_last` });
    });
    const joined = g.op('Concat', pair, { out: `${name}_pairs`, attributes: { axis: 2 } });
    return g.op('Reshape', [joined, g.ints(0, POSITION_DIM)], { out: `${name}_waves` });
  }

  /** Cross-covariance attention, local interaction and MLP, each scaled and added. x is [B, n, D]. */
  crossCovarianceBlock(name: string, x: string): string {
    const attended = this.#crossCovariance(`${name}.attn`, this.norm(`${name}.norm1`, x));
    const mixed = this.#residual(`${name}.gamma1`, x, attended);
    const local = this.#localInteraction(`${name}.local_mp`, this.norm(`${name}.norm3`, mixed));
    const near = this.#residual(`${name}.gamma3`, mixed, local);
    return this.#residual(`${name}.gamma2`, near, this.#mlp(`${name}.mlp`, this.norm(`${name}.norm2`, near)));
  }

  /** The channels of a head attend to each other; x is [B, n, D]. */
  #crossCovariance(name: string, x: string): string {
    const g = this.#g;
    const parts = this.#split(name, x);
    const part = (letter: 'q' | 'k' | 'v', perm: readonly number[]) =>
      g.op('Transpose', [parts[letter]], { out: `${name}.${letter}_heads`, attributes: { perm } });
    // [B, heads, D / heads, n], the keys with the last two exchanged; both have length 1 over the tokens.
    const queries = this.#unitLength(part('q', [0, 2, 3, 1]), -1);
    const keys = this.#unitLength(part('k', [0, 2, 1, 3]), -2);
    const products = g.op('MatMul', [queries, keys], { out: `${name}.products` });
    const temperature = g.weight(`${name}.temperature`, tensorOf(this.#state, `${name}.temperature`));
    const scores = g.op('Mul', [products, temperature], { out: `${name}.scores` });
    const weights = g.op('Softmax', [scores], { out: `${name}.softmax`, attributes: { axis: -1 } });
    const mixed = g.op('MatMul', [weights, part('v', [0, 2, 3, 1])], { out: `${name}.mixed` });
    return this.#merge(name, mixed, [0, 3, 1, 2]);
  }

  /** x / max(|x|, epsilon) over an axis. */
  #unitLength(x: string, axis: number): string {
    const g = this.#g;
    const length = g.op('ReduceL2', [x, g.ints(axis)], { out: `${x}_length`, attributes: { keepdims: 1 } });
    const divisor = g.op('Max', [length, g.float(NORM_EPSILON)], { out: `${x}_divisor` });
    return g.op('Div', [x, divisor], { out: `${x}_unit` });
  }

  /** Two depthwise convolutions over the grid. The normalisation between them stays: conv2 pads what is normalised. */
  #localInteraction(name: string, x: string): string {
    const [g, state, grid] = [this.#g, this.#state, this.#grid];
    const { dim } = this.#shape;
    const map = tokensToMap(g, { tokens: x, grid, dim, out: `${name}.map` });
    const depthwise = { padding: 1, groups: dim };
    const first = convolve(g, state, map, { name: `${name}.conv1`, ...depthwise });
    const normed = batchNorm(g, state, g.gelu(name, first), `${name}.bn`);
    const second = convolve(g, state, normed, { name: `${name}.conv2`, ...depthwise });
    return mapToTokens(g, { map: second, grid, dim, out: `${name}.tokens` });
  }

  /** [B, n, D] to [B, 1 + n, D]. */
  withClsToken(x: string): string {
    const g = this.#g;
    const cls = perImage(g, {
      x: g.weight('cls_token', tensorOf(this.#state, 'cls_token')),
      batch: this.#grid.batch,
      shape: [1, this.#shape.dim],
      out: 'cls_tokens',
    });
    return g.op('Concat', [cls, x], { out: 'tokens', attributes: { axis: 1 } });
  }

  /**
   * Attention and MLP of the CLS token (CaiT, arXiv:2103.17239). What the authors do to the patches beside it is kept: the
   * first branch adds their norm, and the second starts from, and adds, the norm of all tokens.
   *
   * @param x [B, 1 + n, D]
   */
  classBlock(name: string, x: string, last: boolean): string {
    const normed = this.norm(`${name}.norm1`, x);
    const attended = this.#besidePatches(
      `${name}.attn`,
      this.#classAttention(`${name}.attn`, normed, last),
      normed,
    );
    const mixed = this.norm(`${name}.norm2`, this.#residual(`${name}.gamma1`, x, attended));
    const cls = this.#g.op('Slice', [mixed, this.#g.ints(0), this.#g.ints(1), this.#g.ints(1)], {
      out: `${name}.cls`,
    });
    const hidden = this.#scaled(`${name}.gamma2`, this.#mlp(`${name}.mlp`, cls));
    const update = this.#besidePatches(`${name}.mlp`, hidden, mixed);
    return this.#g.op('Add', [mixed, update], { out: `${name}.out` });
  }

  /** What the CLS token takes from all tokens, [B, 1, D]. */
  #classAttention(name: string, x: string, last: boolean): string {
    const g = this.#g;
    const { dim, heads } = this.#shape;
    const { q, k, v } = this.#split(name, x);
    const transposed = (value: string, perm: readonly number[], out: string) =>
      g.op('Transpose', [value], { out: `${name}.${out}`, attributes: { perm } });
    const first = g.op('Slice', [q, g.ints(0), g.ints(1), g.ints(1)], { out: `${name}.q_cls` });
    const query = g.op('Mul', [transposed(first, [0, 2, 1, 3], 'q_heads'), g.float((dim / heads) ** -0.5)], {
      out: `${name}.q_scaled`,
    });
    const scores = g.op('MatMul', [query, transposed(k, [0, 2, 3, 1], 'k_heads')], { out: `${name}.scores` });
    const weights = g.op('Softmax', [scores], { out: `${name}.softmax`, attributes: { axis: -1 } });
    if (last) attentionFeatures(g, { weights, keys: k, heads, dim, leading: 1 });
    const values = transposed(v, [0, 2, 1, 3], 'v_heads');
    return this.#merge(name, g.op('MatMul', [weights, values], { out: `${name}.mixed` }), [0, 2, 1, 3]);
  }

  /** Queries, keys and values of tokens [B, N, D], each [B, N, heads, D / heads]. */
  #split(name: string, x: string): Record<'q' | 'k' | 'v', string> {
    const g = this.#g;
    const { dim, heads } = this.#shape;
    const split = g.op('Reshape', [this.#linear(`${name}.qkv`, x), g.ints(0, 0, 3, heads, dim / heads)], {
      out: `${name}.split`,
    });
    const part = (letter: string, index: number) =>
      g.op('Gather', [split, g.int(index)], { out: `${name}.${letter}`, attributes: { axis: 2 } });
    return { q: part('q', 0), k: part('k', 1), v: part('v', 2) };
  }

  /** Brings mixed values to [B, N, heads, D / heads], joins the heads and projects. */
  #merge(name: string, mixed: string, perm: readonly number[]): string {
    const g = this.#g;
    const byToken = g.op('Transpose', [mixed], { out: `${name}.mixed_tokens`, attributes: { perm } });
    const merged = g.op('Reshape', [byToken, g.ints(0, 0, -1)], { out: `${name}.merged` });
    return this.#linear(`${name}.proj`, merged);
  }

  /** A new CLS token [B, 1, D] before the patches of tokens [B, 1 + n, D]. */
  #besidePatches(name: string, cls: string, tokens: string): string {
    const patches = patchesOnly(this.#g, tokens, { axis: 1, leading: 1, out: `${name}.patches` });
    return this.#g.op('Concat', [cls, patches], { out: `${name}.tokens`, attributes: { axis: 1 } });
  }

  #mlp(name: string, x: string): string {
    return this.#linear(`${name}.fc2`, this.#g.gelu(name, this.#linear(`${name}.fc1`, x)));
  }

  #linear(name: string, x: string): string {
    const tensor = (leaf: string) => tensorOf(this.#state, `${name}.${leaf}`);
    return this.#g.linear(name, x, tensor('weight'), tensor('bias'));
  }

  #residual(gamma: string, x: string, branch: string): string {
    return this.#g.op('Add', [x, this.#scaled(gamma, branch)], { out: `${gamma}.residual` });
  }

  #scaled(gamma: string, x: string): string {
    return this.#g.op('Mul', [x, this.#g.weight(gamma, tensorOf(this.#state, gamma))], {
      out: `${gamma}.scaled`,
    });
  }

  norm(name: string, x: string): string {
    const tensor = (leaf: string) => tensorOf(this.#state, `${name}.${leaf}`);
    return this.#g.layerNorm(name, x, tensor('weight'), tensor('bias'), LAYER_NORM_EPSILON);
  }
}
