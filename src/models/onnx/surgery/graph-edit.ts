import { create } from '@bufbuild/protobuf';
import { attribute, type AttributeValue } from '../attributes.js';
import {
  NodeProtoSchema,
  TensorProto_DataType as DataType,
  TensorProtoSchema,
  type GraphProto,
  type NodeProto,
  type TensorProto,
} from '../generated/onnx_pb.js';
import { allNodes, bodiesOf } from './check-onnx.js';
import type { OnnxFile } from './read-onnx.js';

/** Adds nodes and constants to a graph of somebody's; every method returns the name of the value it makes. */
export class GraphEdit {
  readonly #graph: GraphProto;
  readonly #constants: TensorProto[];
  /** Nodes that go before all others. */
  readonly first: NodeProto[] = [];
  /** Nodes that go after all others. */
  readonly last: NodeProto[] = [];

  /** @param outer the graph around it, if there is one: it has the constants, whose names may not come twice */
  constructor(graph: GraphProto, outer = graph) {
    this.#graph = graph;
    this.#constants = outer.initializer;
  }

  op(
    place: 'first' | 'last',
    kind: string,
    inputs: readonly string[],
    options: { readonly out: string; readonly attributes?: Readonly<Record<string, AttributeValue>> },
  ): string {
    const { out, attributes = {} } = options;
    const node = create(NodeProtoSchema, {
      opType: kind,
      name: out,
      input: [...inputs],
      output: [out],
      attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
    });
    this[place].push(node);
    return out;
  }

  ints(values: readonly number[], scalar = false): string {
    const name = `dino_int64_${scalar ? 'scalar_' : ''}${values.join('_')}`;
    const int64Data = values.map(BigInt);
    return this.#constant({
      name,
      dataType: DataType.INT64,
      dims: scalar ? [] : [BigInt(values.length)],
      int64Data,
    });
  }

  floats(values: readonly number[]): string {
    return this.tensor(`dino_float_${values.join('_')}`, [values.length], values);
  }

  /** A constant float32 tensor under a name of its own. */
  tensor(name: string, shape: readonly number[], values: readonly number[]): string {
    return this.#constant({
      name,
      dataType: DataType.FLOAT,
      dims: shape.map(BigInt),
      floatData: [...values],
    });
  }

  /** The graph with the added nodes in their places. */
  finish(): void {
    this.#graph.node = [...this.first, ...this.#graph.node, ...this.last];
  }

  #constant(
    tensor: Pick<TensorProto, 'name' | 'dataType' | 'dims'> &
      Partial<Pick<TensorProto, 'int64Data' | 'floatData'>>,
  ): string {
    if (!this.#constants.some(({ name }) => name === tensor.name))
      this.#constants.push(create(TensorProtoSchema, tensor));
    return tensor.name;
  }
}

/** Gives values that are called by reserved names other ones, wherever they are made or taken. */
export function freeNames({ model, weights }: OnnxFile, reserved: readonly string[]): void {
  const graph = model.graph!;
  const renamed = (name: string) => (reserved.includes(name) ? `file_${name}` : name);
  const named = [...graph.input, ...graph.output, ...graph.valueInfo, ...graph.initializer];
  for (const value of [...named, ...weights.map(({ header }) => header)]) value.name = renamed(value.name);
  for (const node of allNodes(graph)) {
    node.input = node.input.map(renamed);
    node.output = node.output.map(renamed);
    for (const { input, output } of bodiesOf(node)) {
      for (const value of [...input, ...output]) value.name = renamed(value.name);
    }
  }
}
