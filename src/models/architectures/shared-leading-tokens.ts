import type { GraphBuilder } from '../onnx/graph-builder.js';
import { perImage } from './shared-block.js';

/**
 * Sets the CLS token and the registers, where there are any, before the patches of each image.
 *
 * @param options.cls [1, 1, D]
 * @param options.registers [1, r, D]
 * @param options.patches [B, n, D]
 * @returns [B, 1 + r + n, D]
 */
export function withLeadingTokens(
  g: GraphBuilder,
  options: {
    readonly cls: string;
    readonly registers?: string;
    /** 1 + r. */
    readonly count: number;
    readonly patches: string;
    readonly dim: number;
    readonly batch: string;
  },
): string {
  const { cls, registers, count, patches, dim, batch } = options;
  const axis = { axis: 1 };
  const first =
    registers === undefined
      ? cls
      : g.op('Concat', [cls, registers], { out: 'leading_stored', attributes: axis });
  const leading = perImage(g, { x: first, batch, shape: [count, dim], out: 'leading_tokens' });
  return g.op('Concat', [leading, patches], { out: 'tokens', attributes: axis });
}
