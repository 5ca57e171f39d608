import type { AttributeProto, NodeProto, TensorProto } from '../generated/onnx_pb.js';
import { TensorProto_DataType as DataType } from '../generated/onnx_pb.js';
import { isType } from '../value-info.js';
import { allNodes, bodiesOf } from './check-onnx.js';
import type { OnnxFile } from './read-onnx.js';

/** Who makes a value, who takes it, and what it is where it is constant. */
export class GraphIndex {
  readonly nodes: readonly NodeProto[];
  readonly #producers = new Map<string, NodeProto>();
  readonly #consumers = new Map<string, NodeProto[]>();
  readonly #constants = new Map<string, TensorProto>();
  readonly #fromImage: Set<string>;

  /** @param image the graph's input */
  constructor({ model, weights }: Pick<OnnxFile, 'model' | 'weights'>, image: string) {
    const graph = model.graph!;
    this.nodes = graph.node;
    for (const node of graph.node) {
      for (const name of node.output) if (name !== '') this.#producers.set(name, node);
      for (const name of inputsOf(node)) this.#consumers.set(name, [...this.consumers(name), node]);
      const value = node.opType === 'Constant' ? attributeOf(node, 'value')?.t : undefined;
      if (value !== undefined) this.#constants.set(node.output[0]!, value);
    }
    for (const tensor of graph.initializer) this.#constants.set(tensor.name, tensor);
    for (const { header } of weights) this.#constants.set(header.name, header);
    this.#fromImage = new Set([image]);
    for (const node of graph.node) {
      // A size is no picture.
      if (node.opType === 'Shape' || node.opType === 'Size') continue;
      if (inputsOf(node).some((name) => this.#fromImage.has(name))) {
        node.output.forEach((name) => this.#fromImage.add(name));
      }
    }
  }

  producer(value: string | undefined): NodeProto | undefined {
    return value === undefined ? undefined : this.#producers.get(value);
  }

  consumers(value: string): readonly NodeProto[] {
    return this.#consumers.get(value) ?? [];
  }

  /** Whether a value is made of the image's content and not only of its size. */
  isFromImage(value: string): boolean {
    return this.#fromImage.has(value);
  }

  /** Dimensions of an initializer or a constant. */
  constantShape(value: string | undefined): readonly number[] | undefined {
    return value === undefined ? undefined : this.#constants.get(value)?.dims.map(Number);
  }

  /** Numbers of a small int64 or int32 constant. */
  constantInts(value: string | undefined): readonly number[] | undefined {
    const tensor = value === undefined ? undefined : this.#constants.get(value);
    if (tensor === undefined) return undefined;
    if (tensor.int64Data.length > 0) return tensor.int64Data.map(Number);
    if (isType(tensor.dataType, DataType.INT32) && tensor.int32Data.length > 0) return tensor.int32Data;
    // A copy, since views must begin at a multiple of their elements' size.
    const raw = tensor.rawData.slice().buffer;
    if (isType(tensor.dataType, DataType.INT64)) return Array.from(new BigInt64Array(raw), Number);
    return isType(tensor.dataType, DataType.INT32) ? [...new Int32Array(raw)] : undefined;
  }

  /** Numbers of a small float32 constant. */
  constantFloats(value: string | undefined): readonly number[] | undefined {
    const tensor = value === undefined ? undefined : this.#constants.get(value);
    if (tensor === undefined || !isType(tensor.dataType, DataType.FLOAT)) return undefined;
    if (tensor.floatData.length > 0) return tensor.floatData;
    return [...new Float32Array(tensor.rawData.slice().buffer)];
  }

  /** An argument that is an attribute up to one opset and an input from then on, e.g. the axes of Squeeze. */
  intsOf(node: NodeProto, name: string, input: number): readonly number[] | undefined {
    const given = attributeOf(node, name);
    if (given !== undefined) return given.ints.length > 0 ? given.ints.map(Number) : [Number(given.i)];
    return this.constantInts(node.input[input]);
  }
}

export function attributeOf(node: NodeProto, name: string): AttributeProto | undefined {
  return node.attribute.find((attribute) => attribute.name === name);
}

/** What a node takes, what its loops and branches take from outside included. */
export function inputsOf(node: NodeProto): string[] {
  const inside = bodiesOf(node).flatMap((body) => [...allNodes(body)].flatMap(({ input }) => input));
  return [...new Set([...node.input, ...inside])].filter((name) => name !== '');
}
