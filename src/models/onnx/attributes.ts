import { create } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as Type,
  type AttributeProto,
} from './generated/onnx_pb.js';

/** Integers become INT and INTS, other numbers FLOAT and FLOATS; `float` says so where a value happens to be whole. */
export type AttributeValue =
  number | string | readonly number[] | { readonly float: number } | { readonly floats: readonly number[] };

export function attribute(name: string, value: AttributeValue): AttributeProto {
  if (typeof value === 'string') {
    return create(AttributeProtoSchema, { name, type: Type.STRING, s: new TextEncoder().encode(value) });
  }
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return attribute(name, { float: value });
    return create(AttributeProtoSchema, { name, type: Type.INT, i: BigInt(value) });
  }
  if ('float' in value) return create(AttributeProtoSchema, { name, type: Type.FLOAT, f: value.float });
  if ('floats' in value) {
    return create(AttributeProtoSchema, { name, type: Type.FLOATS, floats: [...value.floats] });
  }
  if (!value.every(Number.isInteger)) return attribute(name, { floats: value });
  return create(AttributeProtoSchema, { name, type: Type.INTS, ints: value.map(BigInt) });
}
