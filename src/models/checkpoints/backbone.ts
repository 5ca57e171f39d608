import { CheckpointError, quote } from './checkpoint-error.js';
import type { Checkpoint } from './open-checkpoint.js';
import type { LazyTensor, StateDict } from './tensor.js';

/** Which of a training checkpoint's two networks is meant. */
export interface BackboneOptions {
  readonly key?: 'teacher' | 'student';
}

/** Parts of a checkpoint that hold a network; where several are there, the first is meant. */
const NETWORKS = ['teacher', 'student'] as const;
/** Others, of which there may be only one. */
const CONTAINERS = ['model', 'state_dict'] as const;
/**
 * What wraps a network's names: DataParallel, the training's own wrapper, torch.compile, and the classification
 * models of transformers.
 */
const WRAPPERS = [
  'module',
  'backbone',
  '_orig_mod',
  'vit',
  'dinov2',
  'dinov2_with_registers',
  'dinov3_vit',
] as const;
/** What training or classification sets on top. */
const HEADS: ReadonlySet<string> = new Set(['head', 'fc', 'classifier', 'dino_head', 'ibot_head']);
/** How the names of the networks themselves begin, in the original projects and in transformers. */
const OWN: ReadonlySet<string> = new Set([
  'cls_token',
  'pos_embed',
  'pos_embeder',
  'patch_embed',
  'rope_embed',
  'blocks',
  'cls_attn_blocks',
  'norm',
  'conv1',
  'bn1',
  'layer1',
  'layer',
  'embeddings',
  'encoder',
  'layernorm',
]);

/**
 * The backbone's tensors under their official names: the teacher (else the student, `model`,
 * `state_dict` or the top level), without the `module.`, `backbone.` and `_orig_mod.` prefixes
 * and without the heads.
 *
 * @throws CheckpointError when there is none or when it is ambiguous
 */
export function backboneOf(checkpoint: Checkpoint, options: BackboneOptions = {}): StateDict {
  let wanted = options.key;
  let level: StateDict = checkpoint.tensors;
  for (;;) {
    const parts = firstParts(level);
    const next = nextPart(parts, wanted);
    if (next === undefined) break;
    if (next === wanted) wanted = undefined;
    level = inside(level, next);
  }
  if (wanted !== undefined) {
    throw new CheckpointError(
      `The checkpoint has no ${wanted}; it holds: ${listOf(firstParts(checkpoint.tensors))}. ` +
        'Leave the choice away, or give a checkpoint of the training.',
    );
  }
  const backbone = new Map([...level].filter(([name]) => !HEADS.has(firstPart(name))));
  if (backbone.size === 0) {
    throw new CheckpointError(
      `The checkpoint has no tensors of a backbone; it holds: ${listOf(firstParts(checkpoint.tensors)) || 'nothing'}. ` +
        "Save the network's own weights with torch.save(model.state_dict(), 'weights.pth').",
    );
  }
  return backbone;
}

/** The part to look into, or undefined when this level is the backbone. */
function nextPart(parts: ReadonlySet<string>, wanted: BackboneOptions['key']): string | undefined {
  const own = [...parts].filter((part) => OWN.has(part));
  const networks = NETWORKS.filter((part) => parts.has(part));
  const wrappers = WRAPPERS.filter((part) => parts.has(part));
  const containers = CONTAINERS.filter((part) => parts.has(part));
  const outer = [...networks, ...wrappers];
  if (own.length > 0) {
    if (outer.length > 0) throw ambiguous([...outer, ...own]);
    return undefined;
  }
  if (wanted !== undefined && networks.includes(wanted)) return wanted;
  if (wanted === undefined && networks.length > 0) return networks[0];
  if (wrappers.length > 1) throw ambiguous(wrappers);
  if (wrappers.length === 1 && networks.length === 0) return wrappers[0];
  if (containers.length > 1) throw ambiguous(containers);
  return containers[0];
}

function inside(level: StateDict, part: string): StateDict {
  const found = new Map<string, LazyTensor>();
  for (const [name, tensor] of level) {
    if (name.startsWith(`${part}.`)) found.set(name.slice(part.length + 1), tensor);
  }
  return found;
}

function ambiguous(parts: readonly string[]): CheckpointError {
  return new CheckpointError(
    `The checkpoint has ${listOf(parts)} side by side, so it is not clear which one is the backbone. ` +
      "Save the one that is meant with torch.save(model.state_dict(), 'weights.pth').",
  );
}

function firstParts(level: StateDict): ReadonlySet<string> {
  return new Set([...level.keys()].map(firstPart));
}

function firstPart(name: string): string {
  const dot = name.indexOf('.');
  return dot === -1 ? name : name.slice(0, dot);
}

function listOf(parts: Iterable<string>): string {
  const names = [...parts];
  return names.slice(0, 8).map(quote).join(', ') + (names.length > 8 ? ', ...' : '');
}
