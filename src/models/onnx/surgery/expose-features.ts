import { clone } from '@bufbuild/protobuf';
import type { FeatureName } from '../../../inference/features.js';
import { NodeProtoSchema, TensorProto_DataType as DataType, type GraphProto } from '../generated/onnx_pb.js';
import { IMAGENET_MEAN, IMAGENET_STD } from '../imagenet.js';
import { valueInfo, type Dimension } from '../value-info.js';
import type { AttentionFound } from './find-attention.js';
import type { ImageInput } from './find-image.js';
import type { TokensFound } from './find-tokens.js';
import { GraphEdit } from './graph-edit.js';

export interface Features {
  readonly tokens: TokensFound;
  /** The rest only where it was found. */
  readonly attention?: AttentionFound & { readonly heads: number };
  /** Tokens before the patches. */
  readonly leading?: number;
  /** D. */
  readonly dim: number;
}

/**
 * Puts uint8 pixels [batch, height, width, 3] and their normalisation in front of a graph that takes normalised floats
 * [batch, 3, height, width]. The graph's input keeps its name as a value inside.
 */
export function takePixels(graph: GraphProto, image: ImageInput): void {
  const edit = new GraphEdit(graph);
  const float = edit.op('first', 'Cast', ['pixels'], {
    out: 'dino_pixels_float',
    attributes: { to: DataType.FLOAT },
  });
  const unit = edit.op('first', 'Div', [float, edit.floats([255])], { out: 'dino_pixels_unit' });
  const centred = edit.op('first', 'Sub', [unit, edit.floats(IMAGENET_MEAN)], { out: 'dino_pixels_centred' });
  const normalised = edit.op('first', 'Div', [centred, edit.floats(IMAGENET_STD)], {
    out: 'dino_pixels_normalised',
  });
  const typed = image.isHalf
    ? edit.op('first', 'Cast', [normalised], {
        out: 'dino_pixels_half',
        attributes: { to: DataType.FLOAT16 },
      })
    : normalised;
  edit.op('first', 'Transpose', [typed], { out: image.name, attributes: { perm: [0, 3, 1, 2] } });
  edit.finish();
  graph.input = [valueInfo('pixels', 'uint8', ['batch', image.height, image.width, 3])];
}

/**
 * Makes the features that were found the graph's outputs, float32, in place of its own.
 *
 * @returns their names
 */
export function exposeFeatures(graph: GraphProto, features: Features): FeatureName[] {
  const { tokens, attention, leading, dim } = features;
  const edit = new GraphEdit(graph);
  const outputs: FeatureName[] = [];
  const give = (name: FeatureName, value: string, shape: readonly Dimension[]) => {
    // Whatever the file computes in.
    edit.op('last', 'Cast', [value], { out: name, attributes: { to: DataType.FLOAT } });
    outputs.push(name);
    return valueInfo(name, 'float32', shape);
  };
  const gather = (value: string, axis: number, out: string) =>
    edit.op('last', 'Gather', [value, edit.ints([0], true)], { out, attributes: { axis } });
  const patches = (value: string, axis: number, out: string) => {
    const [start, end] = [edit.ints([leading!]), edit.ints([Number.MAX_SAFE_INTEGER])];
    return edit.op('last', 'Slice', [value, start, end, edit.ints([axis])], { out });
  };

  const all = tokens.tokens && tokensAfterNorm(edit, tokens.tokens);
  const declared = [
    give('embedding', tokens.embedding ?? gather(all!, 1, 'dino_first_token'), ['batch', dim]),
  ];
  if (leading !== undefined && all !== undefined) {
    declared.push(give('patch_tokens', patches(all, 1, 'dino_patch_tokens'), ['batch', 'patches', dim]));
  }
  if (leading !== undefined && attention !== undefined) {
    const row = gather(attention.weights, 2, 'dino_cls_attention');
    declared.push(
      give('attention', patches(row, 2, 'dino_attention'), ['batch', attention.heads, 'patches']),
    );
    const [batch, heads, channel, token] = attention.keys.axes as [number, number, number, number];
    const byToken = edit.op('last', 'Transpose', [attention.keys.value], {
      out: 'dino_keys_by_token',
      attributes: { perm: [batch, token, heads, channel] },
    });
    const joined = edit.op('last', 'Reshape', [byToken, edit.ints([0, 0, -1])], { out: 'dino_all_keys' });
    declared.push(give('keys', patches(joined, 1, 'dino_keys'), ['batch', 'patches', dim]));
  }
  edit.finish();
  graph.output = declared;
  return outputs;
}

/** All tokens after the last LayerNorm: what the file does to the one it picks is done to all. */
function tokensAfterNorm(
  edit: GraphEdit,
  { value, nodes, from }: NonNullable<TokensFound['tokens']>,
): string {
  const renamed = new Map([[from, value]]);
  for (const node of nodes) node.output.forEach((name) => name && renamed.set(name, `dino_all_${name}`));
  for (const node of nodes) {
    const copy = clone(NodeProtoSchema, node);
    copy.name = `dino_all_${node.name}`;
    copy.input = node.input.map((name) => renamed.get(name) ?? name);
    copy.output = node.output.map((name) => renamed.get(name) ?? name);
    edit.last.push(copy);
  }
  const end = nodes.at(-1)?.output[0];
  return end === undefined ? value : renamed.get(end)!;
}
