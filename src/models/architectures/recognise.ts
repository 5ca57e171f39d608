import { CheckpointError, quote } from '../checkpoints/checkpoint-error.js';
import type { StateDict } from '../checkpoints/tensor.js';
import type { Architecture, ArchitectureHints } from './architecture.js';
import { recogniseDinov2 } from './dinov2.js';
import { recogniseDinov3 } from './dinov3.js';
import { withOfficialNames } from './hugging-face-names.js';
import { recogniseResnet } from './resnet.js';
import { recogniseVit } from './vit.js';
import { recogniseXcit } from './xcit.js';

/** One per family; each looks for names that only its family has. */
const FAMILIES = [recogniseVit, recogniseXcit, recogniseResnet, recogniseDinov2, recogniseDinov3];
const FAMILY_NAMES = 'the ViTs of DINO, bottleneck ResNets, XCiT, DINOv2 and DINOv3';
/** Older names of the same networks. */
const ALIASES = new Map([
  ['deit_tiny', 'vit_tiny'],
  ['deit_small', 'vit_small'],
]);
/** How many tensors of an unknown network are named. */
const NAMED = 4;

/**
 * Recognises what network the tensors are, by their names and shapes.
 *
 * @param state a backbone's tensors under their official names or those of the transformers library
 * @throws CheckpointError naming what is missing or of a wrong shape, the first tensors of an unknown network, or the hint
 *   that contradicts the tensors
 */
export function recognise(state: StateDict, hints: ArchitectureHints): Architecture {
  if (state.size === 0) {
    throw new CheckpointError('the checkpoint holds no tensors of a backbone: use one of a trained network');
  }
  const heads = hints.heads ?? numberOf(hints.config?.get('config.num_attention_heads'));
  const official = withOfficialNames(state);
  for (const recogniser of FAMILIES) {
    const architecture = recogniser(official, { ...hints, heads });
    if (architecture === undefined) continue;
    refuseContradiction(architecture, hints);
    return architecture;
  }
  throw new CheckpointError(
    `the tensors are of a network that cannot be imported (${firstNames(state)}); ${FAMILY_NAMES} can`,
  );
}

function refuseContradiction(architecture: Architecture, hints: ArchitectureHints): void {
  const { arch, patchSize, heads } = hints;
  const { variant, patchSize: actual } = architecture;
  const what = `${variant}/${actual}`;
  const names = [variant, `${variant}_p${actual}`];
  if (arch !== undefined && !names.includes(ALIASES.get(arch) ?? arch)) {
    throw new CheckpointError(
      `the tensors are those of ${what}, not of ${quote(arch)}: leave the architecture out`,
    );
  }
  if (patchSize !== undefined && patchSize !== actual) {
    throw new CheckpointError(
      `the tensors are those of ${what}, not of patch size ${patchSize}: leave it out`,
    );
  }
  // Some networks' tensors tell their heads.
  if (heads !== undefined && heads !== architecture.heads) {
    throw new CheckpointError(
      `the tensors are those of ${what} with ${architecture.heads ?? 'no'} attention heads, not ${heads}: leave the number out`,
    );
  }
}

function firstNames(state: StateDict): string {
  const names = [...state.keys()];
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return names.slice(0, NAMED).map(quote).join(', ') + more;
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
