import { clearField, clone, create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
} from './generated/onnx_pb.js';
import type { OnnxModel } from './onnx-model.js';
import type { Weight } from './weight.js';

/** Where a weight's bytes lie in the data file. */
export interface DataPlace {
  readonly location: string;
  readonly offset: number;
}

/** Bytes to write, and weights whose bytes come between them. */
export type ModelPart = Uint8Array | Weight;

/**
 * Splits a model into the parts of its file.
 *
 * A message's length comes before it, and is known before any weight is loaded: the file is one plain ModelProto with one
 * graph, although only a weight of it is in memory at a time.
 *
 * @param places weights that lie in a data file
 * @param metadata entries to add to the model's metadata_props
 */
export function* encodeModel(
  model: OnnxModel,
  places: ReadonlyMap<Weight, DataPlace>,
  metadata: Readonly<Record<string, string>>,
): Generator<ModelPart> {
  const head = clone(ModelProtoSchema, model.skeleton);
  for (const [key, value] of Object.entries(metadata)) {
    head.metadataProps = head.metadataProps.filter((entry) => entry.key !== key);
    head.metadataProps.push(create(ModelProtoSchema, { metadataProps: [{ key, value }] }).metadataProps[0]!);
  }
  const graph = toBinary(GraphProtoSchema, head.graph ?? create(GraphProtoSchema));
  clearField(head, ModelProtoSchema.field.graph);
  const tensors = model.weights.map((weight) => encodeTensor(weight, places.get(weight)));
  const length = tensors.reduce((sum, { head: { length }, inline }) => sum + length + inline, graph.length);

  yield toBinary(ModelProtoSchema, head);
  yield lengthPrefix(new BinaryWriter(), ModelProtoSchema.field.graph.number, length).finish();
  yield graph;
  for (const tensor of tensors) {
    yield tensor.head;
    if (tensor.inline > 0) yield tensor.weight;
  }
}

/** The bytes before a weight's own, as an entry of the graph's initializers, and how many of its own follow. */
function encodeTensor(
  weight: Weight,
  place: DataPlace | undefined,
): { head: Uint8Array; inline: number; weight: Weight } {
  const { header, byteLength } = weight;
  const initializer = GraphProtoSchema.field.initializer.number;
  if (place !== undefined) {
    const external = clone(TensorProtoSchema, header);
    external.dataLocation = DataLocation.EXTERNAL;
    const entries = { location: place.location, offset: place.offset, length: byteLength };
    external.externalData = Object.entries(entries).map(
      ([key, value]) =>
        create(TensorProtoSchema, { externalData: [{ key, value: String(value) }] }).externalData[0]!,
    );
    const body = toBinary(TensorProtoSchema, external);
    const head = lengthPrefix(new BinaryWriter(), initializer, body.length).raw(body).finish();
    return { head, inline: 0, weight };
  }
  const body = lengthPrefix(
    new BinaryWriter().raw(toBinary(TensorProtoSchema, header)),
    TensorProtoSchema.field.rawData.number,
    byteLength,
  ).finish();
  const head = lengthPrefix(new BinaryWriter(), initializer, body.length + byteLength)
    .raw(body)
    .finish();
  return { head, inline: byteLength, weight };
}

function lengthPrefix(writer: BinaryWriter, field: number, length: number): BinaryWriter {
  return writer.tag(field, WireType.LengthDelimited).uint32(length);
}
