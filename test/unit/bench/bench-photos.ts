import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { NO_CLASS } from '../../bench/photos.js';
import { writeTar } from '../../cli/photo-folder.js';
import { drawScene } from '../../support/drawn-scenes.js';

const golden = (name: string): Promise<Buffer> => readFile(new URL(`../../golden/${name}`, import.meta.url));

/** Writes a tar of CLASS/NAME.jpg: two classes, and a photo of none. @returns its path */
export async function writeLabelledPhotos(folder: string): Promise<string> {
  const ground = await sharp(await golden('desk.png'))
    .jpeg()
    .toBuffer();
  return writeTar(join(folder, 'photos.tar'), [
    ['meadow/1.jpg', await golden('meadow.jpg')],
    ['night/2.jpg', await golden('night-exif6.jpg')],
    [`${NO_CLASS}/3.jpg`, ground],
  ]);
}

/** Writes a tar of a photo and the mask of its object. @returns its path */
export async function writeMaskedPhoto(folder: string): Promise<string> {
  const scene = await drawScene({ className: 'disc-on-stripes', width: 160, height: 120 });
  const { width, height } = scene;
  const mask = await sharp(
    scene.truth.map((inside) => inside * 255),
    { raw: { width, height, channels: 1 } },
  )
    .png()
    .toBuffer();
  return writeTar(join(folder, 'masked.tar'), [
    ['scene.jpg', scene.bytes],
    ['scene.mask.png', mask],
  ]);
}
