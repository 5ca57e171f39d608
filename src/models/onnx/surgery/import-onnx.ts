import { clone, create } from '@bufbuild/protobuf';
import { FEATURE_NAMES, type FeatureName } from '../../../inference/features.js';
import { CheckpointError } from '../../checkpoints/checkpoint-error.js';
import { architectureMetadata, type ModelDescription } from '../architecture-metadata.js';
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataType as DataType,
  type ModelProto,
} from '../generated/onnx_pb.js';
import type { OnnxSource, Precision } from '../onnx-model.js';
import { WEIGHTS_SHA256 } from '../write-model.js';
import { isType } from '../value-info.js';
import { allNodes, checkOnnx } from './check-onnx.js';
import { exposeFeatures, takePixels } from './expose-features.js';
import { findAttention } from './find-attention.js';
import { findImage } from './find-image.js';
import { findPatches } from './find-patches.js';
import { findTokens } from './find-tokens.js';
import { freeNames } from './graph-edit.js';
import { GraphIndex } from './graph-index.js';
import { describeOwn, isOwn, sizesOf } from './own-model.js';
import { runPerImage } from './per-image.js';
import { readOnnx, type OnnxFile } from './read-onnx.js';

export interface OnnxHints {
  /** In px, where the graph does not tell. */
  readonly patchSize?: number;
  /** Attention heads, where the graph computes them. */
  readonly heads?: number;
}

/** An ONNX file made to take pixels and to give features; written by `writeModel`. */
export interface ImportedOnnx extends ModelDescription, OnnxSource {
  /** Why an output is missing, in sentences for people. */
  readonly notes: readonly string[];
}

/**
 * Reads an ONNX file of a vision transformer and adds what it does not give: patch tokens, attention and keys. A file that this
 * software has written is taken as it is.
 *
 * @throws CheckpointError when it is no ONNX file, can't be run, takes no image or gives no vector
 */
export async function importOnnx(path: string, hints: OnnxHints = {}): Promise<ImportedOnnx> {
  const file = await readOnnx(path);
  const opset = checkOnnx(file.model);
  const graph = file.model.graph!;
  dropInputsWithValues(file);
  setMetadata(file.model, {});
  const source: OnnxSource = {
    toModel: () => ({
      skeleton: clone(ModelProtoSchema, file.model),
      weights: file.weights,
      precision: precisionOf(file),
    }),
  };
  if (isOwn(graph)) return { ...describeOwn(file, hints), ...source, notes: [] };
  return { ...addFeatures(file, opset, hints), ...source };
}

/** Changes the graph to take pixels and to give every feature that is found in it. */
function addFeatures(file: OnnxFile, opset: number, hints: OnnxHints): Omit<ImportedOnnx, 'toModel'> {
  const graph = file.model.graph!;
  freeNames(file, ['pixels', ...FEATURE_NAMES]);
  const image = findImage(graph);
  const index = new GraphIndex(file, image.name);
  const tokens = findTokens(index, graph);
  if (tokens === undefined) {
    throw new CheckpointError(
      'the ONNX file gives neither a vector per image nor its tokens: export the backbone, whose output is [batch, D]',
    );
  }
  const patches = findPatches(index);
  const attention = patches && findAttention(index);
  const heads = hints.heads ?? attention?.heads;
  if (attention !== undefined && heads === undefined) {
    throw new CheckpointError(
      'the ONNX file does not tell its number of attention heads: say how many there are',
    );
  }
  const dim = patches?.dim ?? sizesOf(graph.output.find(({ name }) => name === tokens.embedding))[1];
  if (dim === undefined) {
    throw new CheckpointError(
      'the ONNX file does not tell the length of its vector: export it with its shapes',
    );
  }
  takePixels(graph, image);
  const outputs = exposeFeatures(graph, {
    tokens,
    ...(attention && { attention: { ...attention, heads: heads! } }),
    ...(patches && { leading: patches.leading }),
    dim,
  });
  if (image.batch === 1) runPerImage(graph, opset);
  const patchSize = patches?.patchSize ?? hints.patchSize ?? 1;
  const { height, width } = image;
  const description: ModelDescription = {
    family: patches === undefined ? 'onnx' : 'vit',
    variant: attention === undefined ? `onnx_d${dim}` : `vit_d${dim}_l${attention.depth}_h${heads!}`,
    patchSize,
    multipleOf: patchSize,
    embedDim: dim,
    depth: attention?.depth ?? 1,
    ...(attention && { heads }),
    outputs,
    ...(typeof height === 'number' && typeof width === 'number' && { fixedSize: { height, width } }),
  };
  setMetadata(file.model, architectureMetadata(description));
  return { ...description, notes: notesOn(outputs) };
}

/** Replaces entries of the metadata, and drops the SHA-256 of weights that will be written anew. */
function setMetadata(model: ModelProto, entries: Readonly<Record<string, string>>): void {
  const kept = model.metadataProps.filter(({ key }) => key !== WEIGHTS_SHA256 && !(key in entries));
  const added = Object.entries(entries).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  );
  model.metadataProps = [...kept, ...added];
}

/** Files of old IR versions list their weights as inputs too, which would keep a runtime from folding them. */
function dropInputsWithValues({ model, weights }: OnnxFile): void {
  const graph = model.graph!;
  const valued = new Set(
    [...graph.initializer, ...weights.map(({ header }) => header)].map(({ name }) => name),
  );
  graph.input = graph.input.filter(({ name }) => !valued.has(name));
  // From version 4 on an initializer need not be an input.
  if (model.irVersion < 4n) model.irVersion = 4n;
}

function precisionOf({ model, weights }: OnnxFile): Precision {
  const quantised = /^(MatMulInteger|ConvInteger|QLinear|DynamicQuantize|DequantizeLinear)/;
  for (const node of allNodes(model.graph!)) if (quantised.test(node.opType)) return 'int8';
  const bytes = (half: boolean) =>
    weights
      .filter(({ header }) => isType(header.dataType, DataType.FLOAT16) === half)
      .reduce((sum, { byteLength }) => sum + byteLength, 0);
  return bytes(true) > bytes(false) ? 'fp16' : 'fp32';
}

function notesOn(outputs: readonly FeatureName[]): string[] {
  const missing = FEATURE_NAMES.filter((name) => !outputs.includes(name));
  if (missing.length === 0) return [];
  return [`The ONNX file gives no ${missing.join(', ')}: what they are made of was not found in its graph.`];
}
