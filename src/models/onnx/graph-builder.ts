import { create } from '@bufbuild/protobuf';
import { attribute, type AttributeValue } from './attributes.js';
import {
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProto_DataType as DataType,
  type NodeProto,
  type ValueInfoProto,
} from './generated/onnx_pb.js';
import { toFloat16 } from './float16.js';
import { transposed } from './lazy-floats.js';
import { IR_VERSION, OPSET, type OnnxModel, type OnnxSource, type Precision } from './onnx-model.js';
import { quantisedProduct } from './quantised-product.js';
import { valueInfo, type Dimension, type ValueType } from './value-info.js';
import { createWeight, elementCount, type LazyFloats, type Weight, type WeightType } from './weight.js';

export type { AttributeValue } from './attributes.js';
export type { Precision } from './onnx-model.js';
export type { LazyFloats } from './weight.js';

export type Attributes = Readonly<Record<string, AttributeValue>>;

/** Vectors and tensors smaller than this stay float32: they cost nothing and carry the scale of what follows. */
const SMALLEST_FLOAT16 = 1024;

/**
 * Collects the nodes and initializers of a graph; every method returns the name of the value it makes.
 *
 * Names are unique and nodes come in topological order: both are checked at once, since a runtime would name the fault only
 * when the file is loaded.
 */
export class GraphBuilder implements OnnxSource {
  readonly precision: Precision;
  readonly #name: string;
  readonly #nodes: NodeProto[] = [];
  readonly #weights = new Map<string, Weight>();
  readonly #inputs: ValueInfoProto[] = [];
  readonly #outputs: ValueInfoProto[] = [];
  readonly #values = new Set<string>();
  /** Values made once for several users, by what they are made of. */
  readonly #shared = new Map<string, unknown>();

  constructor(options: { readonly name: string; readonly precision?: Precision }) {
    this.#name = options.name;
    this.precision = options.precision ?? 'fp32';
  }

  /** Declares an input of the graph; a string in the shape is a dynamic axis. */
  input(name: string, type: ValueType, shape: readonly Dimension[]): string {
    this.#define(name);
    this.#inputs.push(valueInfo(name, type, shape));
    return name;
  }

  /** Declares a value that a node has made as a float32 output of the graph. */
  output(name: string, shape: readonly Dimension[]): void {
    if (!this.#values.has(name)) throw new Error(`the output ${name} is made by no node`);
    this.#outputs.push(valueInfo(name, 'float32', shape));
  }

  /**
   * An initializer from a checkpoint. In an fp16 model it is stored as float16 with a Cast to float32 behind it, which
   * runtimes fold away at load; vectors and small tensors stay float32.
   */
  weight(name: string, tensor: LazyFloats): string {
    const { shape } = tensor;
    if (this.precision !== 'fp16' || shape.length < 2 || elementCount(shape) < SMALLEST_FLOAT16) {
      return this.initializer(name, DataType.FLOAT, shape, () => tensor.load());
    }
    this.initializer(name, DataType.FLOAT16, shape, async () => toFloat16(await tensor.load(), name));
    return this.op('Cast', [name], { out: `${name}.float32`, attributes: { to: DataType.FLOAT } });
  }

  /** An initializer of any type, stored as it is. */
  initializer(
    name: string,
    type: WeightType,
    shape: readonly number[],
    load: () => Promise<ArrayBufferView>,
  ): string {
    this.#define(name);
    this.#weights.set(name, createWeight(name, type, shape, load));
    return name;
  }

  /** A constant float32 tensor under a name of its own. */
  constant(name: string, values: Float32Array, shape: readonly number[]): string {
    return this.initializer(name, DataType.FLOAT, shape, async () => values);
  }

  /** A constant int64 vector, shared by all users. */
  ints(...values: number[]): string {
    return this.#int64(`int64_${values.join('_')}`, values, [values.length]);
  }

  /** A constant int64 scalar, shared by all users. */
  int(value: number): string {
    return this.#int64(`int64_scalar_${value}`, [value], []);
  }

  /** A constant float32 vector, shared by all users. */
  floats(...values: number[]): string {
    return this.#float32(`float_${values.join('_')}`, values, [values.length]);
  }

  /** A constant float32 scalar, shared by all users. */
  float(value: number): string {
    return this.#float32(`float_scalar_${value}`, [value], []);
  }

  /** A value made at its first use and shared by later ones with the same key. */
  once<T>(key: string, make: () => T): T {
    if (!this.#shared.has(key)) this.#shared.set(key, make());
    return this.#shared.get(key) as T;
  }

  /** Adds a node named after its one output. An empty name among the inputs is an optional input that is not given. */
  op(
    kind: string,
    inputs: readonly string[],
    options: { readonly out: string; readonly attributes?: Attributes; readonly domain?: string },
  ): string {
    this.opMany(kind, inputs, { ...options, outs: [options.out] });
    return options.out;
  }

  /** Adds a node with several outputs, named after the first. */
  opMany(
    kind: string,
    inputs: readonly string[],
    options: { readonly outs: readonly string[]; readonly attributes?: Attributes; readonly domain?: string },
  ): void {
    const { outs, attributes = {}, domain } = options;
    for (const name of inputs) {
      if (name !== '' && !this.#values.has(name)) {
        throw new Error(`${kind} ${outs[0]} takes ${name}, which nothing before it makes`);
      }
    }
    outs.forEach((name) => this.#define(name));
    this.#nodes.push(
      create(NodeProtoSchema, {
        opType: kind,
        name: outs[0],
        input: [...inputs],
        output: [...outs],
        attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
        ...(domain === undefined ? {} : { domain }),
      }),
    );
  }

  /**
   * x W^T + b over the last axis of `x`, whatever its leading axes.
   *
   * @param weight PyTorch's [out, in]; in an int8 model it is quantised per output channel
   * @returns `${name}.out`
   */
  linear(name: string, x: string, weight: LazyFloats, bias?: LazyFloats): string {
    const product = bias === undefined ? `${name}.out` : `${name}.matmul`;
    if (this.precision === 'int8') quantisedProduct(this, { name, x, weight, out: product });
    else this.op('MatMul', [x, this.weight(`${name}.weight`, transposed(weight))], { out: product });
    if (bias === undefined) return product;
    return this.op('Add', [product, this.weight(`${name}.bias`, bias)], { out: `${name}.out` });
  }

  /** LayerNorm over the last axis. @returns `${name}.out` */
  layerNorm(name: string, x: string, weight: LazyFloats, bias: LazyFloats, epsilon: number): string {
    const inputs = [x, this.weight(`${name}.weight`, weight), this.weight(`${name}.bias`, bias)];
    return this.op('LayerNormalization', inputs, {
      out: `${name}.out`,
      attributes: { axis: -1, epsilon: { float: epsilon } },
    });
  }

  /** GELU in its exact form, x (1 + erf(x / sqrt 2)) / 2. @returns `${name}.gelu` */
  gelu(name: string, x: string): string {
    // Gelu is an operator only from opset 20; runtimes fuse this pattern.
    const scaled = this.op('Div', [x, this.float(Math.SQRT2)], { out: `${name}.erf_in` });
    const erf = this.op('Erf', [scaled], { out: `${name}.erf` });
    const gate = this.op('Add', [erf, this.float(1)], { out: `${name}.gate` });
    const gated = this.op('Mul', [x, gate], { out: `${name}.gated` });
    return this.op('Mul', [gated, this.float(0.5)], { out: `${name}.gelu` });
  }

  toModel(): OnnxModel {
    const skeleton = create(ModelProtoSchema, {
      irVersion: BigInt(IR_VERSION),
      producerName: 'dino-server',
      opsetImport: [{ domain: '', version: BigInt(OPSET) }],
      graph: create(GraphProtoSchema, {
        name: this.#name,
        node: this.#nodes,
        input: this.#inputs,
        output: this.#outputs,
      }),
    });
    return { skeleton, weights: [...this.#weights.values()], precision: this.precision };
  }

  #int64(name: string, values: readonly number[], shape: readonly number[]): string {
    return this.once(name, () =>
      this.initializer(name, DataType.INT64, shape, async () => BigInt64Array.from(values, BigInt)),
    );
  }

  #float32(name: string, values: readonly number[], shape: readonly number[]): string {
    return this.once(name, () => this.constant(name, Float32Array.from(values), shape));
  }

  #define(name: string): void {
    if (name === '') throw new Error('a value needs a name');
    if (this.#values.has(name)) throw new Error(`two values of the graph are called ${name}`);
    this.#values.add(name);
  }
}
