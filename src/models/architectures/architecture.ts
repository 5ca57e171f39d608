import type { FeatureName } from '../../inference/features.js';
import type { Checkpoint } from '../checkpoints/open-checkpoint.js';
import type { GraphBuilder } from '../onnx/graph-builder.js';

export type ArchitectureFamily = 'vit' | 'resnet' | 'xcit' | 'dinov2' | 'dinov3';

/** A network recognised from its tensors, ready to be written as a graph. */
export interface Architecture {
  readonly family: ArchitectureFamily;
  /** The authors' name: `vit_small`, `resnet50`, `xcit_small_12`; widths that nobody named: `vit_d48_l2_h3`. */
  readonly variant: string;
  /** Side in px of the area that one patch token stands for; 32 for a ResNet. */
  readonly patchSize: number;
  /** Height and width in px must be multiples of it. */
  readonly multipleOf: number;
  /** D: length of the embedding and of a patch token. */
  readonly embedDim: number;
  /** Number of blocks. */
  readonly depth: number;
  /** Attention heads of the layer that `attention` and `keys` come from; absent where there is no attention. */
  readonly heads?: number;
  /** What the graph gives. */
  readonly outputs: readonly FeatureName[];
  /**
   * Adds the whole graph: input `pixels` [batch, height, width, 3] uint8 RGB, outputs as declared, float32.
   * No weight is loaded before the graph is written.
   */
  build(graph: GraphBuilder): void;
}

/** What a model says it is, beside its tensors. */
export interface ArchitectureHints {
  /** The authors' name of the architecture, e.g. `vit_small`; it must not contradict the tensors. */
  readonly arch?: string;
  /** In px; it must not contradict the tensors. */
  readonly patchSize?: number;
  /** Attention heads, which no tensor tells. */
  readonly heads?: number;
  /** The checkpoint's plain values: `args.arch`, `config.num_attention_heads` and so on. */
  readonly config?: Checkpoint['values'];
}
