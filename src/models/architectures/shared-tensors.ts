import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import type { LazyTensor, StateDict } from '../checkpoints/tensor.js';

export interface TensorCheck {
  /** What the tensors are taken for, e.g. `vit_small/16`. */
  readonly what: string;
  /** Every tensor that must be there, with its shape. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Tensors that may be there and change nothing, e.g. `mask_token`. */
  readonly ignored?: readonly string[];
}

/** Names listed of each kind of fault; a checkpoint of another network has hundreds. */
const NAMED = 3;

/** @throws CheckpointError that names tensors which are missing, surplus or of another shape */
export function checkTensors(state: StateDict, { what, shapes, ignored = [] }: TensorCheck): void {
  const missing: string[] = [];
  const wrong: string[] = [];
  for (const [name, shape] of shapes) {
    const found = state.get(name)?.shape;
    if (found === undefined) missing.push(name);
    else if (found.length !== shape.length || found.some((size, axis) => size !== shape[axis])) {
      wrong.push(`${name} is [${found.join(', ')}] and not [${shape.join(', ')}]`);
    }
  }
  const surplus = [...state.keys()].filter((name) => !shapes.has(name) && !ignored.includes(name));
  const faults = [
    ...(missing.length > 0 ? [`there is no ${listed(missing)}`] : []),
    ...(wrong.length > 0 ? [listed(wrong)] : []),
    ...(surplus.length > 0
      ? [`${listed(surplus)} ${surplus.length === 1 ? 'has' : 'have'} no place in it`]
      : []),
  ];
  if (faults.length === 0) return;
  throw new CheckpointError(
    `the tensors look like ${what}, but ${faults.join('; ')}: use a complete checkpoint, or name its architecture`,
  );
}

/** @throws CheckpointError when it isn't there */
export function tensorOf(state: StateDict, name: string): LazyTensor {
  const tensor = state.get(name);
  if (tensor === undefined)
    throw new CheckpointError(`the checkpoint has no tensor ${name}: use a complete one`);
  return tensor;
}

/** Number of the blocks `${prefix}.0`, `${prefix}.1`, ... that have tensors. */
export function countBlocks(state: StateDict, prefix: string): number {
  let count = 0;
  for (const name of state.keys()) {
    if (!name.startsWith(`${prefix}.`)) continue;
    const index = Number(name.slice(prefix.length + 1).split('.', 1)[0]);
    if (Number.isInteger(index)) count = Math.max(count, index + 1);
  }
  return count;
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMED;
  return names.slice(0, NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
