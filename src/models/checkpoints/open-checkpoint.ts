import type { StateDict } from './tensor.js';
import { CheckpointError } from './checkpoint-error.js';

/** A plain value stored beside the tensors. */
export type CheckpointValue = string | number | boolean | null;

/** An open checkpoint: its tensors are read from the file when they are asked for. */
export interface Checkpoint {
  readonly format: 'pytorch' | 'pytorch-legacy' | 'safetensors' | 'huggingface';
  /** Everything that is a tensor, nested keys joined by dots: `teacher.backbone.blocks.0...`. */
  readonly tensors: StateDict;
  /**
   * Plain values beside the tensors, nested keys joined by dots, e.g. `args.arch` -> 'vit_small',
   * `epoch` -> 99; the config.json of a Hugging Face folder stands under `config.`.
   */
  readonly values: ReadonlyMap<string, CheckpointValue>;
  close(): Promise<void>;
}

/**
 * Opens a file (.pth/.pt/.bin, zip or legacy, or .safetensors) or a Hugging Face folder
 * (config.json with model.safetensors, model.safetensors.index.json or pytorch_model.bin).
 * The format is recognised by content, not by extension.
 *
 * @throws CheckpointError
 */
export function openCheckpoint(path: string): Promise<Checkpoint> {
  return Promise.reject(new CheckpointError(`${path} cannot be read yet.`));
}
