import type { StateDict } from './tensor.js';

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
