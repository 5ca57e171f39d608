import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes a file in one piece or not at all, whatever else writes it; makes its folder where there is none. */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const written = `${path}.${process.pid}`;
  try {
    await writeFile(written, content);
    await rename(written, path);
  } catch (error) {
    await rm(written, { force: true });
    throw error;
  }
}
