import { contextOf } from './elements.js';

/** Longer side in px at which the overlay is drawn: sharp on a dense screen, and quick for a photo of any size. */
const LONGER_SIDE = 960;
/** In px of the overlay. */
const OUTLINE = 3;

/** RGBA: the ground is dimmed, the object tinted, its outline bright, as in the server's own overlays. */
const GROUND = [0, 0, 0, 150];
const OBJECT = [255, 196, 0, 40];
const EDGE = [255, 196, 0, 255];

/** A mask, ready to be laid over its photo. */
export interface MaskPicture {
  readonly pixels: ImageData;
  /** Size of the overlay in proportion to the mask. */
  readonly scale: number;
}

/** @param png the mask as PNG, white on black */
export async function readMask(png: Blob): Promise<MaskPicture> {
  const bitmap = await createImageBitmap(png);
  const scale = LONGER_SIDE / Math.max(bitmap.width, bitmap.height);
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (context === null) throw new Error('This browser has no 2d canvas.');
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const grey = context.getImageData(0, 0, width, height).data;
  const inside = Uint8Array.from({ length: width * height }, (_, pixel) => (grey[pixel * 4] > 127 ? 1 : 0));
  return { pixels: paint(inside, width, height), scale };
}

/** @param bbox of the mask, `[x, y, width, height]` in its own pixels; drawn as a dashed box */
export function drawMask(canvas: HTMLCanvasElement, { pixels, scale }: MaskPicture, bbox: readonly number[]): void {
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  const context = contextOf(canvas);
  context.putImageData(pixels, 0, 0);
  const [x, y, width, height] = bbox.map((value) => value * scale);
  context.lineWidth = 2;
  context.setLineDash([10, 8]);
  context.strokeStyle = 'white';
  context.strokeRect(x + 1, y + 1, width - 2, height - 2);
}

function paint(inside: Uint8Array, width: number, height: number): ImageData {
  const image = new ImageData(width, height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const pixel = y * width + x;
      const colour = inside[pixel] === 0 ? GROUND : isEdge(inside, width, height, x, y) ? EDGE : OBJECT;
      image.data.set(colour, pixel * 4);
    }
  }
  return image;
}

/** Near the ground, but not merely near the end of the picture. */
function isEdge(inside: Uint8Array, width: number, height: number, x: number, y: number): boolean {
  const [left, right] = [Math.max(0, x - OUTLINE), Math.min(width - 1, x + OUTLINE)];
  const [top, bottom] = [Math.max(0, y - OUTLINE), Math.min(height - 1, y + OUTLINE)];
  const at = (column: number, row: number) => inside[row * width + column] === 0;
  return (
    at(left, y) || at(right, y) || at(x, top) || at(x, bottom) || at(left, top) || at(right, top) || at(left, bottom) || at(right, bottom)
  );
}
