import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { sha256OfFile } from './file-hash.js';
import { manifestSchema, type Manifest } from './manifest.js';

/**
 * The folders of the models in a folder, in order of name. Those that begin with a dot are being written or removed.
 *
 * @throws Error when it can't be read
 */
export async function findModelFolders(modelsDir: string): Promise<string[]> {
  let entries;
  try {
    entries = await readdir(modelsDir, { withFileTypes: true });
  } catch (cause) {
    throw new Error(`the models folder ${modelsDir} can't be read (${codeOf(cause)})`, { cause });
  }
  const names = entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name);
  return names.sort().map((name) => join(modelsDir, name));
}

/** @throws Error when the manifest can't be read, is not valid, or contradicts itself */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, 'manifest.json');
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new Error(`${path} can't be read as JSON (${codeOf(cause)})`, { cause });
  }
  const parsed = manifestSchema.safeParse(content);
  if (!parsed.success) {
    const problems = z.prettifyError(parsed.error).replace(/\s+/g, ' ');
    throw new Error(`${path} is not a valid manifest: ${problems}`, { cause: parsed.error });
  }
  const contradiction = findContradiction(parsed.data);
  if (contradiction === undefined) return parsed.data;
  throw new Error(`${path} is not a valid manifest: ${contradiction}`);
}

/** What would fail at the first image, or give grids that are not whole. */
function findContradiction({ architecture, input, preprocessing, outputs }: Manifest): string | undefined {
  const { patchSize, heads } = architecture;
  const { multipleOf } = input;
  const { resize, crop } = preprocessing;
  if (multipleOf % patchSize !== 0)
    return `input.multipleOf ${multipleOf} is no multiple of architecture.patchSize ${patchSize}`;
  if (crop % multipleOf !== 0)
    return `preprocessing.crop ${crop} is no multiple of input.multipleOf ${multipleOf}`;
  if (crop > resize) return `preprocessing.crop ${crop} is more than preprocessing.resize ${resize}`;
  if (outputs.attention !== undefined && heads === undefined)
    return 'there is an output "attention", but no architecture.heads';
  return undefined;
}

/**
 * Checks the model's files, the external weights included, against the SHA-256 of its manifest.
 *
 * @returns the path of the ONNX file
 * @throws Error when one can't be read or is another file
 */
export async function verifyModelFile(folder: string, { file }: Manifest): Promise<string> {
  const path = resolve(folder, file.path);
  await verify(path, file.sha256);
  if (file.data !== undefined) await verify(resolve(folder, file.data.path), file.data.sha256);
  return path;
}

async function verify(path: string, sha256: string): Promise<void> {
  let found: string;
  try {
    found = await sha256OfFile(path);
  } catch (cause) {
    throw new Error(`the model file ${path} can't be read (${codeOf(cause)})`, { cause });
  }
  if (found !== sha256)
    throw new Error(`the SHA-256 of ${path} is ${found}, not ${sha256} as in its manifest`);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}
