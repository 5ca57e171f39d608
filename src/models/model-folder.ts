import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { manifestSchema, type Manifest } from './manifest.js';

/** The folders of the models in a folder, in order of name. @throws Error when it can't be read */
export async function findModelFolders(modelsDir: string): Promise<string[]> {
  let entries;
  try {
    entries = await readdir(modelsDir, { withFileTypes: true });
  } catch (cause) {
    throw new Error(`the models folder ${modelsDir} can't be read (${codeOf(cause)})`, { cause });
  }
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  return names.sort().map((name) => join(modelsDir, name));
}

/** @throws Error when the manifest can't be read or is not valid */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, 'manifest.json');
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new Error(`${path} can't be read as JSON (${codeOf(cause)})`, { cause });
  }
  const parsed = manifestSchema.safeParse(content);
  if (parsed.success) return parsed.data;
  const problems = z.prettifyError(parsed.error).replace(/\s+/g, ' ');
  throw new Error(`${path} is not a valid manifest: ${problems}`, { cause: parsed.error });
}

/**
 * Checks the model's file against the SHA-256 of its manifest.
 *
 * @returns the file's path
 * @throws Error when it can't be read or is another file
 */
export async function verifyModelFile(folder: string, manifest: Manifest): Promise<string> {
  const path = resolve(folder, manifest.file.path);
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(path), hash);
  } catch (cause) {
    throw new Error(`the model file ${path} can't be read (${codeOf(cause)})`, { cause });
  }
  const found = hash.digest('hex');
  if (found !== manifest.file.sha256) {
    throw new Error(`the SHA-256 of ${path} is ${found}, not ${manifest.file.sha256} as in its manifest`);
  }
  return path;
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}
