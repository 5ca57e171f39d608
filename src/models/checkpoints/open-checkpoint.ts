import { stat } from 'node:fs/promises';
import type { Checkpoint } from './checkpoint.js';
import { openHuggingFaceFolder } from './hugging-face.js';
import { openCheckpointFile } from './open-file.js';
import { unreadable } from './random-access-file.js';

export type { Checkpoint, CheckpointValue } from './checkpoint.js';

/**
 * Opens a file (.pth/.pt/.bin, zip or legacy, or .safetensors) or a Hugging Face folder
 * (config.json with model.safetensors, model.safetensors.index.json or pytorch_model.bin).
 * The format is recognised by content, not by extension. Nothing in a file is ever executed.
 *
 * @throws CheckpointError when it is not there, not a checkpoint, damaged, cut off, or asks for what tensors don't need
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    (error: unknown) => {
      throw unreadable(path, error);
    },
  );
  return isFolder ? openHuggingFaceFolder(path) : openCheckpointFile(path);
}
