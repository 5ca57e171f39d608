import { CheckpointError } from '../../checkpoints/checkpoint-error.js';
import { FEATURE_NAMES, type FeatureName } from '../../../inference/features.js';
import { readArchitectureMetadata, type ModelDescription } from '../architecture-metadata.js';
import {
  TensorProto_DataType as DataType,
  type GraphProto,
  type ValueInfoProto,
} from '../generated/onnx_pb.js';
import { isType } from '../value-info.js';
import type { OnnxHints } from './import-onnx.js';
import type { OnnxFile } from './read-onnx.js';

/** Whether a graph takes pixels and gives features already. */
export function isOwn({ input, output }: GraphProto): boolean {
  const pixels = input[0]?.type?.tensorType;
  return (
    input.length === 1 &&
    input[0]!.name === 'pixels' &&
    isType(pixels?.elemType, DataType.UINT8) &&
    sizesOf(input[0])[3] === 3 &&
    output.some(({ name }) => name === 'embedding')
  );
}

/**
 * What a model of our own is: by its metadata, else by the names of its tensors.
 *
 * @throws CheckpointError when neither tells
 */
export function describeOwn({ model, weights }: OnnxFile, hints: OnnxHints): ModelDescription {
  const described = readArchitectureMetadata(model);
  if (described !== undefined) return described;
  const { output, initializer } = model.graph!;
  const tensors = [...initializer, ...weights.map(({ header }) => header)];
  const shapeOf = (feature: FeatureName) => sizesOf(output.find(({ name }) => name === feature));
  const outputs = FEATURE_NAMES.filter((feature) => output.some(({ name }) => name === feature));
  const area = tensors.find(({ name }) => name === 'patch_embed.proj.weight')?.dims[0];
  const patchSize = hints.patchSize ?? Math.sqrt(Number(area ?? 0n) / 3);
  const embedDim = shapeOf('embedding')[1];
  if (!Number.isInteger(patchSize) || patchSize < 1 || embedDim === undefined) {
    throw new CheckpointError(
      'the ONNX file does not tell the size of its patches: say what it is, e.g. --patch-size 16',
    );
  }
  const blocks = tensors.flatMap(({ name }) => /^blocks\.(\d+)\./.exec(name)?.[1] ?? []).map(Number);
  const depth = Math.max(0, ...blocks) + 1;
  const heads = hints.heads ?? shapeOf('attention')[1];
  return {
    family: 'vit',
    variant: `vit_d${embedDim}_l${depth}` + (heads === undefined ? '' : `_h${heads}`),
    patchSize,
    multipleOf: patchSize,
    embedDim,
    depth,
    ...(heads !== undefined && { heads }),
    outputs,
  };
}

/** Sizes of a value's axes; undefined where they are dynamic. */
export function sizesOf(value: ValueInfoProto | undefined): (number | undefined)[] {
  const dim = value?.type?.tensorType?.shape?.dim ?? [];
  return dim.map((size) => (size.value.case === 'dimValue' ? Number(size.value.value) : undefined));
}
