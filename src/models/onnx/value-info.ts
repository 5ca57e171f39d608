import { create } from '@bufbuild/protobuf';
import {
  TensorProto_DataType as DataType,
  ValueInfoProtoSchema,
  type ValueInfoProto,
} from './generated/onnx_pb.js';

/** A number of elements, or the name of a dynamic axis. */
export type Dimension = number | string;

const TYPES = { float32: DataType.FLOAT, uint8: DataType.UINT8, int64: DataType.INT64 } as const;
export type ValueType = keyof typeof TYPES;

/** Describes an input or an output of a graph. */
export function valueInfo(name: string, type: ValueType, shape: readonly Dimension[]): ValueInfoProto {
  const dim = shape.map((size) =>
    typeof size === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(size) } }
      : { value: { case: 'dimParam' as const, value: size } },
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: { tensorType: { elemType: TYPES[type], shape: { dim } } },
  });
}
