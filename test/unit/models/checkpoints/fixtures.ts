import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, type Checkpoint } from '#dino/models/checkpoints/open-checkpoint.js';
import { CheckpointError } from '#dino/models/checkpoints/checkpoint-error.js';

/** What PyTorch reads from a fixture: tensors by path, in float32. */
export type Expected = Record<string, { dtype: string; shape: number[]; values: number[] }>;

export const FIXTURES = fileURLToPath(new URL('./fixtures', import.meta.url));
export const EXPECTED = JSON.parse(readFileSync(join(FIXTURES, 'expected.json'), 'utf8')) as Record<
  string,
  Expected
>;

export function fixture(name: string): string {
  return join(FIXTURES, name);
}

/** Opens a checkpoint, hands it over, and closes it whatever happens. */
export async function withCheckpoint<T>(
  path: string,
  work: (checkpoint: Checkpoint) => T | Promise<T>,
): Promise<T> {
  const checkpoint = await openCheckpoint(path);
  try {
    return await work(checkpoint);
  } finally {
    await checkpoint.close();
  }
}

/** Every tensor's type, shape and numbers. */
export async function readTensors(checkpoint: Checkpoint): Promise<Expected> {
  const read: Expected = {};
  for (const [name, tensor] of checkpoint.tensors) {
    read[name] = { dtype: tensor.dtype, shape: [...tensor.shape], values: [...(await tensor.load())] };
  }
  return read;
}

/** Opens a file with these bytes and reads every tensor; answers the tensors or the complaint. */
export async function readBytes(bytes: Uint8Array, name = 'file.pth'): Promise<Expected | CheckpointError> {
  const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
  try {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    return await withCheckpoint(path, readTensors);
  } catch (error) {
    // Anything else is a mistake of the reader's.
    if (!(error instanceof CheckpointError)) throw error;
    return error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The complaint about a file with these bytes, without the path of the file. */
export async function complaintAbout(bytes: Uint8Array, name = 'file.pth'): Promise<string> {
  const answer = await readBytes(bytes, name);
  if (!(answer instanceof CheckpointError)) throw new Error('the file was read without a complaint');
  return answer.message.replace(/\S*checkpoint-\w+\/(\S+)/, '$1');
}
