import type { FeatureName } from '../inference/features.js';
import { recognise } from './architectures/recognise.js';
import { backboneOf } from './checkpoints/backbone.js';
import { openCheckpoint } from './checkpoints/open-checkpoint.js';
import { GraphBuilder, type Precision } from './onnx/graph-builder.js';
import { writeModel, type ModelFile } from './onnx/write-model.js';

export interface ConvertOptions {
  /** A checkpoint's file or a Hugging Face folder. */
  readonly path: string;
  /** Where the model's files are written. */
  readonly folder: string;
  readonly precision: Precision;
  /** What the user says that it is; it must not contradict the tensors. */
  readonly arch?: string;
  readonly patchSize?: number;
  /** Attention heads, which no tensor tells. */
  readonly heads?: number;
  /** Which of a training checkpoint's two networks; default: the teacher. */
  readonly key?: 'teacher' | 'student';
  /** Is called when it is known what the checkpoint holds, before anything is written; may refuse by throwing. */
  readonly onRecognised?: (model: ModelShape) => void;
  /** Bytes of weights written so far, and of all. */
  readonly onProgress?: (bytes: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** What a model is, as far as its users need to know. */
export interface ModelShape {
  readonly family: string;
  readonly variant: string;
  readonly patchSize: number;
  readonly multipleOf: number;
  readonly embedDim: number;
  readonly depth: number;
  readonly heads?: number;
  readonly outputs: readonly FeatureName[];
}

export interface ConvertedModel {
  readonly shape: ModelShape;
  /** What it was converted from: `pytorch`, `safetensors` and so on. */
  readonly format: string;
  readonly file: ModelFile;
}

/**
 * Writes the ONNX model of a checkpoint into a folder; one tensor at a time is in memory.
 *
 * @throws CheckpointError for what can't be read or isn't recognised
 * @throws ModelWriteError when the disk is full
 */
export async function convertCheckpoint(options: ConvertOptions): Promise<ConvertedModel> {
  const { folder, precision, arch, patchSize, heads, key, onProgress, signal } = options;
  const checkpoint = await openCheckpoint(options.path);
  try {
    const state = backboneOf(checkpoint, { key });
    const architecture = recognise(state, { arch, patchSize, heads, config: checkpoint.values });
    options.onRecognised?.(architecture);
    const graph = new GraphBuilder({ name: architecture.variant, precision });
    architecture.build(graph);
    const file = await writeModel(graph, folder, { onProgress, signal });
    return { shape: architecture, format: checkpoint.format, file };
  } finally {
    await checkpoint.close();
  }
}
