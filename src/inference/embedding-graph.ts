import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeWhole } from '../write-whole.js';
import type { SessionSettings } from './session-messages.js';

/** Changes with what `embeddingModel` makes, so that what an older version has kept is not taken. */
const VERSION = 2;
const DIGEST_BYTES = 32;

/**
 * The graph that computes a model's embeddings alone, from the cache or made anew and kept there. What is kept begins with its
 * SHA-256: a file that was damaged or cut short is made again. A cache that can't be written only costs the time.
 *
 * @returns the bytes of the ONNX file, good beside the model's; undefined where the file's own graph is to be used
 */
export async function embeddingGraph({
  modelPath,
  sha256,
  embeddings,
}: SessionSettings): Promise<Uint8Array | undefined> {
  if (embeddings === undefined) return undefined;
  const { side, cacheDir } = embeddings;
  const path = join(cacheDir, `${sha256}-${side}-v${VERSION}`);
  const kept = await readKept(path);
  if (kept !== undefined) return kept.length === 0 ? undefined : kept;
  // Only where there is none: what reads ONNX files takes a while to load.
  const { embeddingModel } = await import('../models/onnx/surgery/embedding-model.js');
  const made = await embeddingModel(modelPath, { sha256, side });
  const content = made ?? new Uint8Array();
  await writeWhole(path, Buffer.concat([digest(content), content])).catch(() => undefined);
  return made;
}

async function readKept(path: string): Promise<Uint8Array | undefined> {
  const file = await readFile(path).catch(() => undefined);
  if (file === undefined || file.length < DIGEST_BYTES) return undefined;
  const content = file.subarray(DIGEST_BYTES);
  return digest(content).equals(file.subarray(0, DIGEST_BYTES)) ? content : undefined;
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
