import { TensorProto_DataType as DataType } from './generated/onnx_pb.js';
import type { GraphBuilder } from './graph-builder.js';
import { quantise } from './quantisation.js';
import type { LazyFloats } from './weight.js';

/** Steps from zero to the largest magnitude of a token; activations are uint8 around the zero point. */
const ACTIVATION_STEPS = 127;
const ACTIVATION_ZERO = 128;
/** A token of zeros is divided by this instead of its largest magnitude. */
const SMALLEST_PEAK = 1e-30;

/**
 * x W^T with int8 weights per output channel and activations quantised per token at run time.
 *
 * DynamicQuantizeLinear would take one step for the whole batch: an image's vector would then depend on the images it is served
 * with (docs/decisions/0007-int8-per-token.md).
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
    return (scales ?? (await quantised()).scales).map((step) => step / ACTIVATION_STEPS);
  });
  const { integers, zero, peak } = quantisedActivations(g, x);
  const product = g.op('MatMulInteger', [integers, values, zero], { out: `${name}.integers` });
  const floats = g.op('Cast', [product], { out: `${name}.floats`, attributes: { to: DataType.FLOAT } });
  const perChannel = g.op('Mul', [floats, scale], { out: `${name}.per_channel` });
  return g.op('Mul', [perChannel, peak], { out });
}

/** uint8 values around `zero`, and each token's largest magnitude; shared by the layers that take the same value. */
function quantisedActivations(g: GraphBuilder, x: string): { integers: string; zero: string; peak: string } {
  return g.once(`quantised ${x}`, () => {
    const magnitude = g.op('Abs', [x], { out: `${x}.magnitude` });
    const largest = g.op('ReduceMax', [magnitude, g.ints(-1)], {
      out: `${x}.largest`,
      attributes: { keepdims: 1 },
    });
    const peak = g.op('Max', [largest, g.float(SMALLEST_PEAK)], { out: `${x}.peak` });
    const unit = g.op('Div', [x, peak], { out: `${x}.unit` });
    const zero = g.once('activation zero', () =>
      g.initializer('activation_zero', DataType.UINT8, [], async () => Uint8Array.of(ACTIVATION_ZERO)),
    );
    const step = g.float(1 / ACTIVATION_STEPS);
    const integers = g.op('QuantizeLinear', [unit, step, zero], { out: `${x}.quantised` });
    return { integers, zero, peak };
  });
}
