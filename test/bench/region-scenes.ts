import sharp from 'sharp';

export type Box = readonly [x: number, y: number, width: number, height: number];

export interface Scene {
  readonly png: Buffer;
  readonly width: number;
  readonly height: number;
  /** Where the photo lies in the scene. */
  readonly box: Box;
}

/** JPEGs that a scene is made of. */
export interface Parts {
  readonly query: Buffer;
  readonly ground: Buffer;
  readonly other: Buffer;
}

/** Scenes by name: the photo somewhere in a photo of nothing in particular, or beside another photo. */
export const SCENES: Record<string, (parts: Parts) => Promise<Scene>> = {
  'half as wide as its ground': async ({ query, ground }) => {
    const side = 480;
    const [width, height] = await fitInto(query, side / 2);
    const [x, y] = [Math.round((side - width) * 0.7), Math.round((side - height) * 0.4)];
    const base = sharp(ground).resize(side, side, { fit: 'cover' });
    const input = await sharp(query).resize(width, height, { fit: 'fill' }).toBuffer();
    const png = await base
      .composite([{ input, left: x, top: y }])
      .png()
      .toBuffer();
    return { png, width: side, height: side, box: [x, y, width, height] };
  },
  'beside another photo': async ({ query, other }) => {
    const height = 240;
    const left = await sharp(other).resize({ height }).toBuffer({ resolveWithObject: true });
    const right = await sharp(query).resize({ height }).toBuffer({ resolveWithObject: true });
    const width = left.info.width + right.info.width;
    const png = await sharp({ create: { width, height, channels: 3, background: '#fff' } })
      .composite([
        { input: left.data, left: 0, top: 0 },
        { input: right.data, left: left.info.width, top: 0 },
      ])
      .png()
      .toBuffer();
    return { png, width, height, box: [left.info.width, 0, right.info.width, height] };
  },
  'the photo itself, without a fifth on each side': async ({ query }) => {
    const { data, info } = await sharp(query).png().toBuffer({ resolveWithObject: true });
    const [x, y] = [Math.round(info.width / 5), Math.round(info.height / 5)];
    const box: Box = [x, y, info.width - 2 * x, info.height - 2 * y];
    return { png: data, width: info.width, height: info.height, box };
  },
};

async function fitInto(jpeg: Buffer, side: number): Promise<[width: number, height: number]> {
  const { width, height } = await sharp(jpeg).metadata();
  const scale = side / Math.max(width, height);
  return [Math.round(width * scale), Math.round(height * scale)];
}
