import { contextOf } from './elements.js';

/** Longer side in px at which the overlay is drawn: sharp on a dense screen, and quick for a photo of any size. */
const LONGER_SIDE = 960;
/** In px of the overlay. */
const OUTLINE = 3;

/** The ground is dimmed, the object tinted, its outline bright, as in the server's own overlays; ABGR. */
const GROUND = 0x96000000;
const OBJECT = 0x3800c4ff;
const EDGE = 0xff00c4ff;

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
  const inside = Uint8Array.from({ length: width * height }, (_, pixel) => (grey[pixel * 4]! > 127 ? 1 : 0));
  return { pixels: paint(inside, width, height), scale };
}

/** @param bbox of the mask, `[x, y, width, height]` in its own pixels; drawn as a dashed box */
export function drawMask(
  canvas: HTMLCanvasElement,
  { pixels, scale }: MaskPicture,
  bbox: readonly number[],
): void {
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  const context = contextOf(canvas);
  context.putImageData(pixels, 0, 0);
  const [x = 0, y = 0, width = 0, height = 0] = bbox.map((value) => value * scale);
  context.lineWidth = 2;
  context.setLineDash([10, 8]);
  context.strokeStyle = 'white';
  context.strokeRect(x + 1, y + 1, width - 2, height - 2);
}

function paint(inside: Uint8Array, width: number, height: number): ImageData {
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  for (let y = 0; y < height; y++) {
    const above = Math.max(0, y - OUTLINE) * width;
    const row = y * width;
    const below = Math.min(height - 1, y + OUTLINE) * width;
    for (let x = 0; x < width; x++) {
      const left = Math.max(0, x - OUTLINE);
      const right = Math.min(width - 1, x + OUTLINE);
      // Near the ground, but not merely near the end of the picture.
      const isEdge =
        inside[row + left] === 0 ||
        inside[row + right] === 0 ||
        inside[above + x] === 0 ||
        inside[below + x] === 0 ||
        inside[above + left] === 0 ||
        inside[above + right] === 0 ||
        inside[below + left] === 0 ||
        inside[below + right] === 0;
      words[row + x] = inside[row + x] === 0 ? GROUND : isEdge ? EDGE : OBJECT;
    }
  }
  return image;
}
