import { TensorProto_DataType as DataType } from '../onnx/generated/onnx_pb.js';
import type { GraphBuilder, LazyFloats } from '../onnx/graph-builder.js';
import { mapped } from '../onnx/lazy-floats.js';

/** Per channel, of values in [0, 1]: what every DINO model was trained with. */
export const IMAGENET_MEAN = [0.485, 0.456, 0.406] as const;
export const IMAGENET_STD = [0.229, 0.224, 0.225] as const;

/** The patches of the input, known when the graph runs; int64 vectors of one element unless said otherwise, ready to be joined. */
export interface PatchGrid {
  readonly patchSize: number;
  readonly batch: string;
  /** [rows, columns]. */
  readonly size: string;
  readonly rows: string;
  readonly columns: string;
  /** rows * columns. */
  readonly count: string;
}

/** Declares the input `pixels` [batch, height, width, 3], uint8 RGB, and normalises it: [batch, height, width, 3] float32. */
export function normalisedPixels(g: GraphBuilder): string {
  const pixels = g.input('pixels', 'uint8', ['batch', 'height', 'width', 3]);
  const floats = g.op('Cast', [pixels], { out: 'pixels_float', attributes: { to: DataType.FLOAT } });
  const unit = g.op('Div', [floats, g.float(255)], { out: 'pixels_unit' });
  const centred = g.op('Sub', [unit, g.floats(...IMAGENET_MEAN)], { out: 'pixels_centred' });
  return g.op('Div', [centred, g.floats(...IMAGENET_STD)], { out: 'pixels_normalised' });
}

/** The grid of patches of the input `pixels`; a rest of less than a patch does not count. */
export function patchGrid(g: GraphBuilder, patchSize: number): PatchGrid {
  const shape = g.op('Shape', ['pixels'], { out: 'pixels_shape' });
  const slice = (from: string, start: number, end: number, out: string) =>
    g.op('Slice', [from, g.ints(start), g.ints(end)], { out });
  const batch = slice(shape, 0, 1, 'batch_size');
  const size = g.op('Div', [slice(shape, 1, 3, 'image_size'), g.ints(patchSize)], { out: 'grid' });
  const rows = slice(size, 0, 1, 'grid_rows');
  const columns = slice(size, 1, 2, 'grid_columns');
  const count = g.op('Mul', [rows, columns], { out: 'patch_count' });
  return { patchSize, batch, size, rows, columns, count };
}

/**
 * Cuts pixels into patches and projects them.
 *
 * Patches do not overlap, so the convolution is a matrix product on NHWC data without transposing the whole image to NCHW.
 *
 * @param options.pixels [B, H, W, 3]
 * @param options.weight of the convolution, [D, 3, p, p]; stored as [p * p * 3, D]
 * @returns [B, rows * columns, D], row by row
 */
export function projectedPatches(
  g: GraphBuilder,
  options: {
    readonly grid: PatchGrid;
    readonly pixels: string;
    readonly weight: LazyFloats;
    readonly bias: LazyFloats;
  },
): string {
  const { grid, pixels, weight, bias } = options;
  const { patchSize: side, batch, rows, columns } = grid;
  const dim = weight.shape[0]!;
  const tileShape = g.op('Concat', [batch, rows, g.ints(side), columns, g.ints(side, 3)], {
    out: 'tile_shape',
    attributes: { axis: 0 },
  });
  const cut = g.op('Reshape', [pixels, tileShape], { out: 'tiles' });
  const tiles = g.op('Transpose', [cut], {
    out: 'tiles_by_patch',
    attributes: { perm: [0, 1, 3, 2, 4, 5] },
  });
  // The grid is spelt out: batch 0 would leave two unknown dimensions to a single -1.
  const flatShape = g.op('Concat', [batch, grid.count, g.ints(side * side * 3)], {
    out: 'flat_shape',
    attributes: { axis: 0 },
  });
  const flat = g.op('Reshape', [tiles, flatShape], { out: 'patch_pixels' });
  const kernel = mapped(weight, [side * side * 3, dim], (values) => channelsLast(values, dim, side * side));
  const projected = g.op('MatMul', [flat, g.weight('patch_embed.proj.weight', kernel)], {
    out: 'patches_projected',
  });
  return g.op('Add', [projected, g.weight('patch_embed.proj.bias', bias)], { out: 'patches' });
}

/** [D, 3, area] to [area * 3, D]. */
function channelsLast(values: Float32Array, dim: number, area: number): Float32Array {
  const result = new Float32Array(values.length);
  let from = 0;
  for (let d = 0; d < dim; d++) {
    for (let channel = 0; channel < 3; channel++) {
      for (let at = 0; at < area; at++) result[(at * 3 + channel) * dim + d] = values[from++]!;
    }
  }
  return result;
}
