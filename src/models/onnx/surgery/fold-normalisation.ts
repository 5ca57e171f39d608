import { create } from '@bufbuild/protobuf';
import { attribute } from '../attributes.js';
import {
  NodeProtoSchema,
  TensorProto_DataType as DataType,
  type GraphProto,
  type NodeProto,
} from '../generated/onnx_pb.js';
import { GraphEdit } from './graph-edit.js';
import type { GraphIndex } from './graph-index.js';

/** What `projectedPatches` makes of `pixels`, in that order. */
const CHAIN = [
  ['Cast', 'pixels_float'],
  ['Div', 'pixels_unit'],
  ['Sub', 'pixels_centred'],
  ['Div', 'pixels_normalised'],
  ['Reshape', 'tiles'],
  ['Transpose', 'tiles_by_patch'],
  ['Reshape', 'patch_pixels'],
  ['MatMul', 'patches_projected'],
  ['Add', 'patches'],
] as const;
const LARGEST_PIXEL = 255;

/**
 * Moves the pixels' normalisation into the weights of the patch embedding: ((p / 255 - mean) / std) W + b is
 * p (W / (255 std)) + (b - (mean / std) W). The pixels are cut into patches as bytes, and cast then. The new weights are made
 * of constants, which runtimes do once, when the model is opened.
 *
 * @param graph one whose patches `projectedPatches` makes; others are left as they are
 * @param index of the same graph
 */
export function foldNormalisation(graph: GraphProto, index: GraphIndex): void {
  const chain = CHAIN.map(([kind, name]) => {
    const node = index.producer(name);
    return node?.opType === kind ? node : undefined;
  });
  if (!chain.every((node, i) => node !== undefined && (i === 0 || node.input[0] === CHAIN[i - 1]![1])))
    return;
  const [, , centred, normalised, tiles, , flat, projected, patches] = chain as NodeProto[];
  const used = CHAIN.slice(0, 4).every(([, name]) => index.consumers(name).length === 1);
  const mean = index.constantFloats(centred!.input[1]);
  const deviation = index.constantFloats(normalised!.input[1]);
  const [weight, bias] = [projected!.input[1]!, patches!.input[1]!];
  const inputs = index.constantShape(weight)?.[0];
  if (!used || mean?.length !== 3 || deviation?.length !== 3 || inputs === undefined) return;

  const perInput = (value: (channel: number) => number) =>
    Array.from({ length: inputs }, (_, i) => value(i % 3));
  const edit = new GraphEdit(graph);
  const scale = edit.tensor(
    'dino_pixel_scale',
    [inputs, 1],
    perInput((c) => 1 / (LARGEST_PIXEL * deviation[c]!)),
  );
  const shift = edit.tensor(
    'dino_pixel_shift',
    [1, inputs],
    perInput((c) => mean[c]! / deviation[c]!),
  );
  const node = (opType: string, input: string[], output: string) =>
    create(NodeProtoSchema, { opType, name: output, input, output: [output] });
  const constant = [
    node('Mul', [weight, scale], 'dino_patch_weight'),
    node('MatMul', [shift, weight], 'dino_patch_shift'),
    node('Sub', [bias, 'dino_patch_shift'], 'dino_patch_bias'),
  ];
  const cast = node('Cast', [flat!.output[0]!], 'dino_patch_floats');
  cast.attribute = [attribute('to', DataType.FLOAT)];
  tiles!.input[0] = 'pixels';
  projected!.input = ['dino_patch_floats', 'dino_patch_weight'];
  patches!.input = [patches!.input[0]!, 'dino_patch_bias'];
  const gone = new Set(chain.slice(0, 4));
  graph.node = graph.node.flatMap((each) => {
    if (gone.has(each)) return [];
    // The weight may be the cast of a stored one.
    return each === projected ? [cast, ...constant, each] : [each];
  });
}
