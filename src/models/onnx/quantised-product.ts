import { TensorProto_DataType as DataType } from './generated/onnx_pb.js';
import type { GraphBuilder } from './graph-builder.js';
import { quantise } from './quantisation.js';
import type { LazyFloats } from './weight.js';

/**
 * x W^T with int8 weights per output channel and activations quantised at run time: the operators that onnxruntime fuses.
 *
 * @param options.weight [out, in]
 * @returns `out`
 */
export function quantisedProduct(
  g: GraphBuilder,
  options: { readonly name: string; readonly x: string; readonly weight: LazyFloats; readonly out: string },
): string {
  const { name, x, weight, out } = options;
  const [outputs, inputs] = weight.shape as [number, number];
  const quantised = async () => quantise(await weight.load(), outputs, inputs, `${name}.weight`);
  // The scales are written right after the values: they are kept so that the weight is read once.
  let scales: Float32Array | undefined;
  const values = g.initializer(`${name}.weight`, DataType.INT8, [inputs, outputs], async () => {
    const matrix = await quantised();
    scales = matrix.scales;
    return matrix.values;
  });
  const scale = g.initializer(`${name}.weight.scale`, DataType.FLOAT, [outputs], async () => {
    return scales ?? (await quantised()).scales;
  });
  const [integers, step, zero] = quantisedActivations(g, x);
  const product = g.op('MatMulInteger', [integers, values, zero], { out: `${name}.integers` });
  const floats = g.op('Cast', [product], { out: `${name}.floats`, attributes: { to: DataType.FLOAT } });
  const scaling = g.op('Mul', [step, scale], { out: `${name}.scale` });
  return g.op('Mul', [floats, scaling], { out });
}

/** uint8 values, their step and their zero point; shared by the layers that take the same value. */
function quantisedActivations(g: GraphBuilder, x: string): [string, string, string] {
  return g.once(`quantised ${x}`, () => {
    const outs: [string, string, string] = [`${x}.quantised`, `${x}.step`, `${x}.zero`];
    g.opMany('DynamicQuantizeLinear', [x], { outs });
    return outs;
  });
}
