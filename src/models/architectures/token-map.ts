import type { GraphBuilder } from '../onnx/graph-builder.js';
import { normalisedPixels } from './shared-pixels.js';

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
 * @param out name of the result; the names of what leads to it start with it
 */
export function mapToTokens(g: GraphBuilder, map: string, dim: number, out: string): string {
  // The shape is spelt out: a batch of 0 would leave two unknown sizes to a single -1.
  const shape = g.op('Shape', [map], { out: `${out}_map_shape` });
  const batch = g.op('Slice', [shape, g.ints(0), g.ints(1)], { out: `${out}_batch` });
  const sides = g.op('Slice', [shape, g.ints(2), g.ints(4)], { out: `${out}_sides` });
  const count = g.op('ReduceProd', [sides, g.ints(0)], { out: `${out}_count`, attributes: { keepdims: 1 } });
  const flatShape = g.op('Concat', [batch, g.ints(dim), count], {
    out: `${out}_flat_shape`,
    attributes: { axis: 0 },
  });
  const flat = g.op('Reshape', [map, flatShape], { out: `${out}_flat` });
  return g.op('Transpose', [flat], { out, attributes: { perm: [0, 2, 1] } });
}
