import { recognise } from '../architectures/recognise.js';
import { backboneOf } from '../checkpoints/backbone.js';
import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import { openCheckpoint } from '../checkpoints/open-checkpoint.js';
import { architectureMetadata, type ModelDescription } from '../onnx/architecture-metadata.js';
import { GraphBuilder, type Precision } from '../onnx/graph-builder.js';
import { importOnnx } from '../onnx/surgery/import-onnx.js';
import { writeModel, type ModelFile } from '../onnx/write-model.js';

export interface ConvertOptions {
  /** A checkpoint's file, a Hugging Face folder, or an ONNX file. */
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
  readonly onRecognised?: (model: ModelDescription) => void;
  /** A sentence about what the model lacks. */
  readonly onNote?: (text: string) => void;
  /** Bytes of weights written so far, and of all. */
  readonly onProgress?: (bytes: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface ConvertedModel {
  readonly description: ModelDescription;
  /** What it was converted from: `pytorch`, `safetensors` and so on. */
  readonly format: string;
  readonly file: ModelFile;
}

/**
 * Writes the ONNX model of a checkpoint, or of an ONNX file with what it lacks, into a folder; one tensor at a time is
 * in memory.
 *
 * @throws CheckpointError for what can't be read or isn't recognised
 * @throws ModelWriteError when the disk is full
 */
export function convertCheckpoint(options: ConvertOptions): Promise<ConvertedModel> {
  return /\.onnx$/i.test(options.path) ? convertOnnx(options) : convertTensors(options);
}

async function convertTensors(options: ConvertOptions): Promise<ConvertedModel> {
  const { folder, precision, arch, patchSize, heads, key, onProgress, signal } = options;
  const checkpoint = await openCheckpoint(options.path);
  try {
    const state = backboneOf(checkpoint, { key });
    const architecture = recognise(state, { arch, patchSize, heads, config: checkpoint.values });
    options.onRecognised?.(architecture);
    const graph = new GraphBuilder({
      name: architecture.variant,
      precision,
      metadata: architectureMetadata(architecture),
    });
    architecture.build(graph);
    const file = await writeModel(graph, folder, { onProgress, signal });
    return { description: architecture, format: checkpoint.format, file };
  } finally {
    await checkpoint.close();
  }
}

async function convertOnnx(options: ConvertOptions): Promise<ConvertedModel> {
  const { path, folder, precision, patchSize, heads, onProgress, signal } = options;
  const imported = await importOnnx(path, { patchSize, heads });
  const description = atItsOnlySize(imported);
  options.onRecognised?.(description);
  for (const note of imported.notes) options.onNote?.(note);
  const file = await writeModel(imported, folder, { onProgress, signal });
  if (precision !== 'fp32' && file.precision !== precision) {
    throw new CheckpointError(
      `An ONNX file keeps its precision, which is ${file.precision}: leave out --precision ${precision}, or import the checkpoint it was made of.`,
    );
  }
  return { description, format: 'onnx', file };
}

/** A model that takes images of one size alone takes multiples of it, as far as anybody asks for no more than one. */
function atItsOnlySize(description: ModelDescription): ModelDescription {
  const { fixedSize } = description;
  if (fixedSize === undefined) return description;
  const { height, width } = fixedSize;
  if (height !== width) {
    throw new CheckpointError(
      `The ONNX file takes images of ${width}x${height} px alone, and embeddings are of square images: export it with a square or a free size.`,
    );
  }
  return { ...description, multipleOf: height };
}
