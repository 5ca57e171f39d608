import type { GraphBuilder } from '../onnx/graph-builder.js';
import { normalisedPixels, type PatchGrid } from './shared-pixels.js';

/**
 * Declares the input `pixels` and normalises it for convolutions.
 *
 * The normalisation stays apart from the first convolution, which pads with zeros: zero is the mean colour only after it.
 *
 * @returns [B, 3, H, W] float32
 */
export function normalisedMap(g: GraphBuilder): string {
  const attributes = { perm: [0, 3, 1, 2] };
  return g.op('Transpose', [normalisedPixels(g)], { out: 'pixel_map', attributes });
}

/**
 * A map [B, D, rows, columns] as tokens [B, rows * columns, D], row by row.
 *
 * @param out name of the result
 */
export function mapToTokens(
  g: GraphBuilder,
  options: { readonly map: string; readonly grid: PatchGrid; readonly dim: number; readonly out: string },
): string {
  const { map, grid, dim, out } = options;
  // The shape is spelt out: a batch of 0 would leave two unknown sizes to a single -1.
  const shape = g.once('flat map shape', () =>
    g.op('Concat', [grid.batch, g.ints(dim), grid.count], {
      out: 'flat_map_shape',
      attributes: { axis: 0 },
    }),
  );
  const flat = g.op('Reshape', [map, shape], { out: `${out}_by_channel` });
  return g.op('Transpose', [flat], { out, attributes: { perm: [0, 2, 1] } });
}

/** Tokens [B, rows * columns, D] as a map [B, D, rows, columns]. */
export function tokensToMap(
  g: GraphBuilder,
  options: { readonly tokens: string; readonly grid: PatchGrid; readonly dim: number; readonly out: string },
): string {
  const { tokens, grid, dim, out } = options;
  const shape = g.once('map shape', () =>
    g.op('Concat', [grid.batch, g.ints(dim), grid.size], { out: 'map_shape', attributes: { axis: 0 } }),
  );
  const flat = g.op('Transpose', [tokens], { out: `${out}_by_channel`, attributes: { perm: [0, 2, 1] } });
  return g.op('Reshape', [flat, shape], { out });
}
