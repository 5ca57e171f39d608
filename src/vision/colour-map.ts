import { rgb } from 'd3-color';
import { interpolateInferno } from 'd3-scale-chromatic';

/** 256 colours of the inferno map (perceptually uniform, dark to bright), RGB. */
const INFERNO = Array.from({ length: 256 }, (_, index) => rgb(interpolateInferno(index / 255)));

/**
 * The palette of heat maps.
 *
 * @param opacity 0..1, the same for every colour
 * @returns RGBA, 256 entries of 4 bytes, from the lowest value to the highest
 */
export function heatPalette(opacity = 1): Uint8Array {
  const alpha = Math.round(255 * opacity);
  return Uint8Array.from(INFERNO.flatMap(({ r, g, b }) => [r, g, b, alpha]));
}

/**
 * Scales values to 0..255, the lowest to 0 and the highest to 255; values that are all the same become 0.
 *
 * @throws RangeError for values that are not finite
 */
export function toHeatIndices(values: Float32Array): Uint8Array {
  let lowest = Infinity;
  let highest = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) throw new RangeError(`a heat map of ${value}`);
    lowest = Math.min(lowest, value);
    highest = Math.max(highest, value);
  }
  const scale = highest > lowest ? 255 / (highest - lowest) : 0;
  return Uint8Array.from(values, (value) => Math.round((value - lowest) * scale));
}
