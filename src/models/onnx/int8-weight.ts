import { TensorProto_DataType as DataType } from './generated/onnx_pb.js';
import type { GraphBuilder } from './graph-builder.js';
import { transpose } from './lazy-floats.js';
import { quantise } from './quantisation.js';
import type { LazyFloats } from './weight.js';

/** Nothing is summed in integers here, so that all 8 bits can be used. */
const LARGEST_STORED = 127;

/**
 * A weight stored as int8 with a scale per output channel (axis 0), and turned to float32 when the graph runs: for operators
 * that compute in float32, such as convolutions, whose integer form onnxruntime lacks for int8 weights.
 *
 * @returns the float32 value
 */
export function int8Weight(g: GraphBuilder, name: string, weight: LazyFloats): string {
  const [outputs, ...rest] = weight.shape as [number, ...number[]];
  const inputs = rest.reduce((product, size) => product * size, 1);
  const quantised = async () => quantise(await weight.load(), outputs, inputs, name, LARGEST_STORED);
  // The scales are written right after the values: they are kept so that the weight is read once.
  let scales: Float32Array | undefined;
  const values = g.initializer(name, DataType.INT8, weight.shape, async () => {
    const matrix = await quantised();
    scales = matrix.scales;
    return new Int8Array(transpose(new Float32Array(matrix.values), inputs, outputs));
  });
  const scale = g.initializer(`${name}.scale`, DataType.FLOAT, [outputs], async () => {
    return scales ?? (await quantised()).scales;
  });
  return g.op('DequantizeLinear', [values, scale], { out: `${name}.float32`, attributes: { axis: 0 } });
}
