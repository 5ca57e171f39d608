import { TensorProto_DataType as DataType } from '../onnx/generated/onnx_pb.js';
import type { GraphBuilder, LazyFloats } from '../onnx/graph-builder.js';
import type { PatchGrid } from './shared-pixels.js';

/** Turns queries or keys [B, heads, N, head width] by the places of their patches. */
export type Rotation = (x: string, out: string) => string;

/**
 * The axial rotary positions of DINOv3 for the input's grid
 * (https://github.com/facebookresearch/dinov3/blob/main/dinov3/layers/rope_position_encoding.py).
 *
 * A patch lies at its centre, each axis scaled to [-1, 1] whatever the other's length; its angles are 2 pi place / period, for
 * the rows in the first quarter of a head's width and for the columns in the second; the second half repeats the first.
 *
 * @param options.periods [head width / 4]
 * @param options.leading number of tokens before the patches, which have no place and aren't turned
 */
export function rotaryPositions(
  g: GraphBuilder,
  options: { readonly grid: PatchGrid; readonly periods: LazyFloats; readonly leading: number },
): Rotation {
  const { grid, periods, leading } = options;
  const quarter = periods.shape[0]!;
  const headDim = 4 * quarter;
  const angles = patchAngles(g, grid, g.weight('rope_embed.periods', periods));
  const concat = (values: readonly string[], axis: number, out: string) =>
    g.op('Concat', values, { out, attributes: { axis } });

  // x1 cos - x2 sin and x2 cos + x1 sin, with the halves of x exchanged first: the sign goes into the sine. Tokens before the
  // patches get cosine 1 and sine 0, which leaves them as they are without cutting them off and setting them back.
  const halfCosine = g.op('Cos', [angles], { out: 'rope.half_cos' });
  const halfSine = g.op('Sin', [angles], { out: 'rope.half_sin' });
  const negative = g.op('Neg', [halfSine], { out: 'rope.half_sin_negative' });
  const still = (name: string, value: number) =>
    g.constant(name, new Float32Array(leading * headDim).fill(value), [leading, headDim]);
  const patchCosine = concat([halfCosine, halfCosine], 1, 'rope.patch_cos');
  const patchSine = concat([negative, halfSine], 1, 'rope.patch_sin');
  const cosine = concat([still('rope.leading_cos', 1), patchCosine], 0, 'rope.cos');
  const sine = concat([still('rope.leading_sin', 0), patchSine], 0, 'rope.sin');

  return (x, out) => {
    const halves = [`${out}.left`, `${out}.right`] as const;
    g.opMany('Split', [x], { outs: halves, attributes: { axis: -1, num_outputs: 2 } });
    const exchanged = concat([halves[1], halves[0]], -1, `${out}.exchanged`);
    const along = g.op('Mul', [x, cosine], { out: `${out}.along` });
    const across = g.op('Mul', [exchanged, sine], { out: `${out}.across` });
    return g.op('Add', [along, across], { out });
  };
}

/** [rows * columns, 2 * periods]: the angles of each patch's row, then of its column. */
function patchAngles(g: GraphBuilder, grid: PatchGrid, periods: string): string {
  const one = g.ints(1);
  const count = g.op('Shape', [periods], { out: 'rope.period_count' });
  const full = g.op('Concat', [grid.size, count], { out: 'rope.map_shape', attributes: { axis: 0 } });
  const angles = (axis: 'rows' | 'columns', shape: readonly [string, string]) => {
    const turns = g.op('Mul', [places(g, axis, grid[axis]), g.float(2 * Math.PI)], {
      out: `rope.${axis}.turns`,
    });
    const column = g.op('Unsqueeze', [turns, g.ints(-1)], { out: `rope.${axis}.column` });
    const values = g.op('Div', [column, periods], { out: `rope.${axis}.angles` });
    const mapShape = g.op('Concat', [...shape, count], {
      out: `rope.${axis}.shape`,
      attributes: { axis: 0 },
    });
    const map = g.op('Reshape', [values, mapShape], { out: `rope.${axis}.strip` });
    return g.op('Expand', [map, full], { out: `rope.${axis}.map` });
  };
  const both = g.op('Concat', [angles('rows', [grid.rows, one]), angles('columns', [one, grid.columns])], {
    out: 'rope.angle_map',
    attributes: { axis: 2 },
  });
  const doubled = g.op('Mul', [count, g.ints(2)], { out: 'rope.angle_count' });
  const flatShape = g.op('Concat', [grid.count, doubled], {
    out: 'rope.flat_shape',
    attributes: { axis: 0 },
  });
  return g.op('Reshape', [both, flatShape], { out: 'rope.patch_angles' });
}

/** Centres of the patches along an axis, in [-1, 1]; `size` is an int64 vector of one element. */
function places(g: GraphBuilder, axis: string, size: string): string {
  const name = `rope.${axis}`;
  const length = g.op('Squeeze', [size], { out: `${name}.length` });
  const indices = g.op('Range', [g.int(0), length, g.int(1)], { out: `${name}.indices` });
  const toFloat = (value: string, out: string) =>
    g.op('Cast', [value], { out, attributes: { to: DataType.FLOAT } });
  const centres = g.op('Add', [toFloat(indices, `${name}.indices_float`), g.float(0.5)], {
    out: `${name}.centres`,
  });
  const share = g.op('Div', [centres, toFloat(length, `${name}.length_float`)], { out: `${name}.share` });
  const doubled = g.op('Mul', [share, g.float(2)], { out: `${name}.doubled` });
  return g.op('Sub', [doubled, g.float(1)], { out: `${name}.places` });
}
