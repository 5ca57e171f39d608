import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { drawScenes, type DrawnScene } from '../support/drawn-scenes.js';

/** A new folder of this test's own. */
export function makeFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'dino-cli-test-'));
}

/** Scenes small enough that hundreds are drawn in a second. */
export function drawSmallScenes(perClass: number, firstSeed = 1): Promise<DrawnScene[]> {
  return drawScenes({ perClass, firstSeed, width: 128, height: 96 });
}

/** Writes scenes as `CLASS/N.jpg` below a folder. @returns the ids that an import gives them, in order */
export async function writeScenes(folder: string, scenes: readonly DrawnScene[]): Promise<string[]> {
  const ids = scenes.map(({ className }, index) => `${className}/${String(index).padStart(3, '0')}.jpg`);
  for (const [index, { bytes }] of scenes.entries()) await writeInto(folder, ids[index]!, bytes);
  return ids;
}

/** Writes one file and the folders above it. */
export async function writeInto(folder: string, name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  return path;
}

/** Writes a tar archive of members, compressed where its name says so. */
export async function writeTar(
  path: string,
  members: readonly (readonly [string, string | Buffer])[],
): Promise<string> {
  const archive = pack();
  for (const [name, content] of members) archive.entry({ name }, content);
  archive.finalize();
  const source = archive as unknown as NodeJS.ReadableStream;
  const target = createWriteStream(path);
  await (/gz$/.test(path) ? pipeline(source, createGzip(), target) : pipeline(source, target));
  return path;
}
