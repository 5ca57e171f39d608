import { TensorProto_DataType as DataType } from '../onnx/generated/onnx_pb.js';
import type { GraphBuilder, LazyFloats } from '../onnx/graph-builder.js';
import { mapped, transpose } from '../onnx/lazy-floats.js';
import type { PatchGrid } from './shared-pixels.js';

/** How stored positions are brought to another grid, in PyTorch's terms. */
export interface PositionResampling {
  /**
   * Added to rows and columns before they are divided by the stored ones: the scale given to PyTorch, and therefore the places
   * that are sampled. 0: the exact grid is asked for, and the scale follows from it.
   */
  readonly offset: number;
  readonly antialias: boolean;
}

/** The first of `leading` and the patches of `pos_embed` [1, 1 + n * n, D]: the CLS position [1, 1, D] and a map [1, D, n, n]. */
export function splitPositions(positions: LazyFloats): { cls: LazyFloats; patches: LazyFloats } {
  const [, count, dim] = positions.shape as [number, number, number];
  const side = Math.sqrt(count - 1);
  return {
    cls: mapped(positions, [1, 1, dim], (values) => values.slice(0, dim)),
    patches: mapped(positions, [1, dim, side, side], (values) =>
      transpose(values.subarray(dim), count - 1, dim),
    ),
  };
}

/**
 * The positional embedding of the input's grid, as the official code computes it: bicubic, and untouched where the grid is the
 * stored one in both directions.
 *
 * PyTorch samples with a = -0.75; when it antialiases, as Pillow does, with a = -0.5 and without what lies outside.
 *
 * @param options.patches the stored map, [1, D, n, n]
 * @returns [1, rows * columns, D]
 */
export function interpolatedPositions(
  g: GraphBuilder,
  options: {
    readonly grid: PatchGrid;
    readonly patches: LazyFloats;
    readonly resampling: PositionResampling;
  },
): string {
  const { grid, patches, resampling } = options;
  const [, dim, native] = patches.shape as [number, number, number];
  const stored = g.weight('pos_embed.patches', patches);
  const target =
    resampling.offset === 0
      ? {
          sizes: g.op('Concat', [g.ints(1, dim), grid.size], {
            out: 'position_sizes',
            attributes: { axis: 0 },
          }),
        }
      : { scales: positionScales(g, grid, native, resampling.offset) };
  const resized = g.op('Resize', [stored, '', target.scales ?? '', ...(target.sizes ? [target.sizes] : [])], {
    out: 'positions_resized',
    attributes: {
      mode: 'cubic',
      coordinate_transformation_mode: 'half_pixel',
      ...(resampling.antialias
        ? { antialias: 1, cubic_coeff_a: -0.5, exclude_outside: 1 }
        : { cubic_coeff_a: -0.75 }),
    },
  });
  const flat = g.op('Reshape', [resized, g.ints(1, dim, -1)], { out: 'positions_flat' });
  return g.op('Transpose', [flat], { out: 'positions', attributes: { perm: [0, 2, 1] } });
}

/** Scales of the four axes of the map; exactly 1, which makes Resize the identity, where the grid is the stored one. */
function positionScales(g: GraphBuilder, grid: PatchGrid, native: number, offset: number): string {
  const floats = g.op('Cast', [grid.size], { out: 'grid_float', attributes: { to: DataType.FLOAT } });
  const shifted = g.op('Add', [floats, g.float(offset)], { out: 'grid_shifted' });
  const ratio = g.op('Div', [shifted, g.float(native)], { out: 'position_ratio' });
  const difference = g.op('Sub', [grid.size, g.ints(native, native)], { out: 'grid_difference' });
  const distance = g.op('Abs', [difference], { out: 'grid_distance' });
  const largest = g.op('ReduceMax', [distance, g.ints(0)], {
    out: 'grid_largest_distance',
    attributes: { keepdims: 1 },
  });
  const isNative = g.op('Equal', [largest, g.ints(0)], { out: 'grid_is_native' });
  const scale = g.op('Where', [isNative, g.floats(1, 1), ratio], { out: 'position_scale' });
  return g.op('Concat', [g.floats(1, 1), scale], { out: 'position_scales', attributes: { axis: 0 } });
}
