import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, extname, join, resolve } from 'node:path';
import { usageError } from './command-error.js';
import type { ImageFile } from './image-files.js';

/**
 * Where the picture made of each image goes: `OUT/<name of the image>.png`, folders kept; images whose names differ
 * only in their extension keep it (`cat.jpg.png`, `cat.webp.png`).
 *
 * @param extension of what is made, with the dot; default `.png`
 * @returns paths by the images' own paths
 * @throws CommandError (2) where a picture would take the place of one of the images
 */
export function planPictures(
  files: readonly Pick<ImageFile, 'path' | 'name'>[],
  folder: string,
  extension = '.png',
): Map<string, string> {
  const stems = files.map(({ name }) => name.slice(0, name.length - extname(name).length));
  const uses = new Map<string, number>();
  for (const stem of stems) uses.set(stem, (uses.get(stem) ?? 0) + 1);

  const originals = new Set(files.map(({ path }) => resolve(path)));
  const taken = new Map<string, string>();
  const plan = new Map<string, string>();
  files.forEach(({ path, name }, index) => {
    const picture = join(folder, `${uses.get(stems[index]!) === 1 ? stems[index] : name}${extension}`);
    if (originals.has(resolve(picture)))
      throw usageError(`${picture} would be overwritten: choose another folder for the pictures`);
    const other = taken.get(picture);
    if (other !== undefined && other !== path)
      throw usageError(`${other} and ${path} would both be written to ${picture}`);
    taken.set(picture, path);
    plan.set(path, picture);
  });
  return plan;
}

/** Writes a file and the folders above it. */
export async function writePicture(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}
