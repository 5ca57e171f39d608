import { create } from '@bufbuild/protobuf';
import {
  TensorProto_DataType as DataType,
  TensorProtoSchema,
  type TensorProto,
} from './generated/onnx_pb.js';

/** A float32 tensor that is read when it is needed; every tensor of a checkpoint is one. */
export interface LazyFloats {
  readonly shape: readonly number[];
  /** Row-major. */
  load(): Promise<Float32Array>;
}

/** An initializer of which only the description is in memory. */
export interface Weight {
  /** Name, type and dimensions, without data. */
  readonly header: TensorProto;
  readonly byteLength: number;
  /** Little-endian, row-major. */
  load(): Promise<Uint8Array>;
}

const BYTES_PER_ELEMENT = new Map([
  [DataType.FLOAT, 4],
  [DataType.FLOAT16, 2],
  [DataType.INT64, 8],
  [DataType.INT8, 1],
  [DataType.UINT8, 1],
]);

export type WeightType = DataType.FLOAT | DataType.FLOAT16 | DataType.INT64 | DataType.INT8 | DataType.UINT8;

/** Describes an initializer; `load` is called once, when the model is written. */
export function createWeight(
  name: string,
  dataType: WeightType,
  shape: readonly number[],
  load: () => Promise<ArrayBufferView>,
): Weight {
  const byteLength = elementCount(shape) * BYTES_PER_ELEMENT.get(dataType)!;
  const header = create(TensorProtoSchema, { name, dataType, dims: shape.map(BigInt) });
  return {
    header,
    byteLength,
    async load() {
      const { buffer, byteOffset, byteLength: found } = await load();
      if (found !== byteLength) throw new Error(`${name} has ${found} bytes, not ${byteLength}`);
      return new Uint8Array(buffer, byteOffset, found);
    },
  };
}

/** Number of elements of a shape; 1 for a scalar's empty one. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
