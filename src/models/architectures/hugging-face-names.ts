import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import type { LazyTensor, StateDict } from '../checkpoints/tensor.js';

/** What transformers' models with a head set before the names of the network itself. */
const PREFIX = /^(?:vit|dinov2|dinov2_with_registers|dinov3_vit|backbone)\./;
/** Their heads, which no feature needs. */
const HEADS = /^(?:pooler|classifier|decoder|distillation_classifier)\./;
/** A tensor of a block: of ViT and DINOv2, and of DINOv3. */
const BLOCK = /^(?:encoder\.|model\.)?layer\.(\d+)\.(.+)$/;

/** Where the queries, keys and values stand; the official networks have them in one layer, `attn.qkv`. */
const QKV = /^attention\.(?:attention\.(query|key|value)|([qkv])_proj)\.(weight|bias)$/;

/** Names outside the blocks, without their `.weight` and `.bias`. */
const OUTER: Readonly<Record<string, string>> = {
  'embeddings.cls_token': 'cls_token',
  'embeddings.mask_token': 'mask_token',
  'embeddings.position_embeddings': 'pos_embed',
  'embeddings.patch_embeddings.projection': 'patch_embed.proj',
  'embeddings.patch_embeddings': 'patch_embed.proj',
  layernorm: 'norm',
};
/** Names inside a block of ViT or DINOv2; those that are not here are the official ones. */
const INNER: Readonly<Record<string, string>> = {
  layernorm_before: 'norm1',
  layernorm_after: 'norm2',
  'attention.output.dense': 'attn.proj',
  'intermediate.dense': 'mlp.fc1',
  'output.dense': 'mlp.fc2',
  'mlp.weights_in': 'mlp.w12',
  'mlp.weights_out': 'mlp.w3',
  'attention.o_proj': 'attn.proj',
  'layer_scale1.lambda1': 'ls1.gamma',
  'layer_scale2.lambda1': 'ls2.gamma',
};
const PLAIN_V3_MLP = { 'mlp.up_proj': 'mlp.fc1', 'mlp.down_proj': 'mlp.fc2' };
const GATED_V3_MLP = { 'mlp.gate_proj': 'mlp.w1', 'mlp.up_proj': 'mlp.w2', 'mlp.down_proj': 'mlp.w3' };

/**
 * Gives the tensors of a ViT, Dinov2, Dinov2WithRegisters or DINOv3ViT model of the transformers library their authors' names.
 * Nothing is loaded: queries, keys and values are joined when they are.
 *
 * @param state any checkpoint's tensors; those of another layout are returned as they are
 * @returns also what has no counterpart, so that it is reported as surplus
 * @throws CheckpointError when queries, keys and values don't fit each other
 */
export function withOfficialNames(state: StateDict): StateDict {
  const stripped = new Map([...state].map(([name, tensor]) => [name.replace(PREFIX, ''), tensor]));
  if (!stripped.has('embeddings.cls_token')) return state;
  const names = [...stripped.keys()];
  const isV3 = names.some((name) => name.endsWith('.attention.q_proj.weight'));
  const isGated = names.some((name) => name.endsWith('.mlp.gate_proj.weight'));
  const inner = { ...INNER, ...(isV3 && (isGated ? GATED_V3_MLP : PLAIN_V3_MLP)) };
  const outer = {
    ...OUTER,
    'embeddings.register_tokens': isV3 ? 'storage_tokens' : 'register_tokens',
  };

  const official = new Map<string, LazyTensor>();
  const projections = new Projections();
  for (const [name, tensor] of stripped) {
    if (HEADS.test(name)) continue;
    const [, block, rest] = BLOCK.exec(name) ?? [];
    if (block === undefined || rest === undefined) official.set(renamed(name, outer), tensor);
    else if (!projections.take(block, rest, { name, tensor })) {
      official.set(`blocks.${block}.${renamed(rest, inner)}`, tensor);
    }
  }
  return new Map([...official, ...projections.joined()]);
}

/** Looks a name up as it is, then without its last part. */
function renamed(name: string, names: Readonly<Record<string, string>>): string {
  const whole = names[name];
  if (whole !== undefined) return whole;
  const dot = name.lastIndexOf('.');
  const layer = names[name.slice(0, dot)];
  return layer === undefined ? name : layer + name.slice(dot);
}

interface NamedTensor {
  readonly name: string;
  readonly tensor: LazyTensor;
}

/** The three parts of one joined tensor, as far as they are there. */
type Parts = Partial<Record<'q' | 'k' | 'v', NamedTensor>>;

/** Collects the queries', keys' and values' weights and biases of all blocks. */
class Projections {
  readonly #weights = new Map<string, Parts>();
  readonly #biases = new Map<string, Parts>();

  /** @returns whether it is a tensor of a projection */
  take(block: string, rest: string, part: NamedTensor): boolean {
    const [, word, letter, leaf] = QKV.exec(rest) ?? [];
    const which = (letter ?? word?.[0]) as keyof Parts | undefined;
    if (which === undefined) return false;
    const all = leaf === 'weight' ? this.#weights : this.#biases;
    all.set(block, { ...all.get(block), [which]: part });
    return true;
  }

  *joined(): Generator<[string, LazyTensor]> {
    for (const [block, { q, k, v }] of this.#weights) {
      if (q === undefined || k === undefined || v === undefined) {
        const there = (q ?? k ?? v)!.name;
        throw new CheckpointError(
          `there is ${there}, but not the weights of queries, keys and values all three: use a complete checkpoint`,
        );
      }
      yield [`blocks.${block}.attn.qkv.weight`, rowsJoined([q, k, v])];
      const biases = this.#biases.get(block);
      if (biases === undefined) continue;
      // DINOv3's keys have no bias, which is one of zeros.
      const parts = (
        [
          [q, biases.q],
          [k, biases.k],
          [v, biases.v],
        ] as const
      ).map(([{ name, tensor }, bias]) => bias ?? { name, tensor: zeros(tensor.shape[0] ?? 0) });
      yield [`blocks.${block}.attn.qkv.bias`, rowsJoined(parts)];
    }
  }
}

function zeros(count: number): LazyTensor {
  return { dtype: 'float32', shape: [count], load: async () => new Float32Array(count) };
}

/** Tensors of one shape below each other. */
function rowsJoined(parts: readonly NamedTensor[]): LazyTensor {
  const [first] = parts as [NamedTensor, ...NamedTensor[]];
  const { dtype, shape } = first.tensor;
  for (const { name, tensor } of parts) {
    if (tensor.shape.join() !== shape.join()) {
      throw new CheckpointError(
        `${name} is [${tensor.shape.join(', ')}] and not [${shape.join(', ')}] as ${first.name}: the checkpoint is damaged or of another network`,
      );
    }
  }
  const [rows = 0, ...rest] = shape;
  return {
    dtype,
    shape: [parts.length * rows, ...rest],
    async load() {
      let joined: Float32Array | undefined;
      let offset = 0;
      for (const { tensor } of parts) {
        const values = await tensor.load();
        joined ??= new Float32Array(values.length * parts.length);
        joined.set(values, offset);
        offset += values.length;
      }
      return joined ?? new Float32Array(0);
    },
  };
}
