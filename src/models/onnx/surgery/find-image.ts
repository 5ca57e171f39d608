import { CheckpointError } from '../../checkpoints/checkpoint-error.js';
import { TensorProto_DataType as DataType, type GraphProto } from '../generated/onnx_pb.js';
import { isType, type Dimension } from '../value-info.js';
import { sizesOf } from './own-model.js';

/** The input of a graph that takes normalised images [batch, 3, height, width]. */
export interface ImageInput {
  readonly name: string;
  /** Whether it is float16. */
  readonly isHalf: boolean;
  /** 1 where the graph takes one image at a time; undefined: any number. */
  readonly batch: 1 | undefined;
  readonly height: Dimension;
  readonly width: Dimension;
}

/** @throws CheckpointError when the graph takes something else */
export function findImage({ input }: GraphProto): ImageInput {
  const [image] = input;
  const type = image?.type?.tensorType;
  const [batch, channels, height, width, ...more] = sizesOf(image);
  const axes = type?.shape?.dim.length;
  const isHalf = isType(type?.elemType, DataType.FLOAT16);
  const isFloat = isType(type?.elemType, DataType.FLOAT) || isHalf;
  if (input.length !== 1 || !isFloat || axes !== 4 || more.length > 0 || (channels ?? 3) !== 3) {
    const found = input.map(
      (value) =>
        `${value.name} [${sizesOf(value)
          .map((size) => size ?? '?')
          .join(', ')}]`,
    );
    throw new CheckpointError(
      `the ONNX file takes ${found.join(' and ') || 'nothing'}, not one image as floats [batch, 3, height, width]: export the backbone alone`,
    );
  }
  if (batch !== undefined && batch !== 1) {
    throw new CheckpointError(
      `the ONNX file takes batches of ${batch} images only: export it with a dynamic batch`,
    );
  }
  if ((height === undefined) !== (width === undefined)) {
    throw new CheckpointError(
      'the ONNX file fixes one side of its images: export it with both sides fixed, or none',
    );
  }
  return {
    name: image!.name,
    isHalf,
    batch,
    height: height ?? 'height',
    width: width ?? 'width',
  };
}
