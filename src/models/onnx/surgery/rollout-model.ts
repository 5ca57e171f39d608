import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { CheckpointError } from '../../checkpoints/checkpoint-error.js';
import { encodeModel } from '../encode-model.js';
import { ModelProtoSchema, TensorProto_DataType as DataType, type GraphProto } from '../generated/onnx_pb.js';
import { valueInfo } from '../value-info.js';
import { checkOnnx } from './check-onnx.js';
import { findTokenWeights } from './find-attention.js';
import { GraphEdit } from './graph-edit.js';
import { GraphIndex } from './graph-index.js';
import { bodyPerImage, renameBody } from './per-image.js';
import { readOnnx } from './read-onnx.js';

/** Name of the output that is added. */
export const ROLLOUT_OUTPUT = 'dino_rollout';
/** From this opset on the axes of ReduceMean are an input. */
const AXES_AS_INPUT = 18;

export interface RolloutModelOptions {
  /** SHA-256 that the ONNX file must have. */
  readonly sha256: string;
  /** Blocks of the model. */
  readonly blocks: number;
}

/**
 * A model's ONNX file with one more output, `dino_rollout` [B, N]: the first token's row of attention rollout over all blocks
 * (Abnar & Zuidema 2020, arXiv:2005.00928), N = all tokens.
 *
 * The file itself is left as it is, and weights in a data file beside it stay there.
 *
 * @returns the bytes of the ONNX file
 * @throws CheckpointError where not every block has attention between all tokens; Error when the file is another one
 */
export async function rolloutModel(
  path: string,
  { sha256, blocks }: RolloutModelOptions,
): Promise<Uint8Array> {
  const hash = createHash('sha256');
  const { model, weights, places } = await readOnnx(path, (bytes) => hash.update(bytes));
  if (hash.digest('hex') !== sha256) throw new Error(`${path} is another file now: load the model again`);
  const opset = checkOnnx(model);
  const graph = model.graph!;
  const inner = bodyPerImage(graph);
  if (inner === undefined) {
    const edit = new GraphEdit(graph);
    addRollout(edit, graph, { blocks, opset });
    edit.finish();
  } else {
    // A Scan adds the axis of the batch to what each image gives.
    const { scan, body } = inner;
    const edit = new GraphEdit(body, graph);
    addRollout(edit, body, { blocks, opset });
    const one = edit.op('last', 'Reshape', [ROLLOUT_OUTPUT, edit.ints([-1])], {
      out: `${ROLLOUT_OUTPUT}_of_one`,
    });
    edit.finish();
    body.output.push(valueInfo(one, 'float32', ['tokens']));
    scan.output.push(ROLLOUT_OUTPUT);
    // The body's names must not be those of the graph around it.
    renameBody(body, new Set([ROLLOUT_OUTPUT]));
  }
  graph.output.push(valueInfo(ROLLOUT_OUTPUT, 'float32', ['batch', 'tokens']));
  const parts: Uint8Array[] = [];
  for (const part of encodeModel({ skeleton: model, weights, precision: 'fp32' }, places, {})) {
    parts.push(part instanceof Uint8Array ? part : await part.load());
  }
  return Buffer.concat(parts);
}

/** Computes the rollout [B, N] of the attentions in a graph. */
function addRollout(
  edit: GraphEdit,
  graph: GraphProto,
  { blocks, opset }: { blocks: number; opset: number },
): void {
  const index = new GraphIndex({ model: create(ModelProtoSchema, { graph }), weights: [] }, 'pixels');
  const attentions = findTokenWeights(index);
  if (attentions.length !== blocks) {
    throw new CheckpointError(
      `attention rollout needs attention between all tokens in each of the ${blocks} blocks; ${attentions.length} have it`,
    );
  }
  const op: GraphEdit['op'] = edit.op.bind(edit);
  const meanOfHeads = (value: string, out: string) =>
    opset >= AXES_AS_INPUT
      ? op('last', 'ReduceMean', [value, edit.ints([1])], { out, attributes: { keepdims: 1 } })
      : op('last', 'ReduceMean', [value], { out, attributes: { axes: [1], keepdims: 1 } });
  const half = edit.floats([0.5]);

  // The product's first row alone, from the last block to the first: r := (r + r mean(A)) / 2.
  let row: string | undefined;
  for (const [back, attention] of attentions.reverse().entries()) {
    const name = (what: string) => `dino_rollout_${what}_${blocks - 1 - back}`;
    const weights = op('last', 'Cast', [attention], {
      out: name('weights'),
      attributes: { to: DataType.FLOAT },
    });
    const mean = meanOfHeads(weights, name('mean'));
    const first: string = row ?? firstToken(edit, mean);
    const looked = op('last', 'MatMul', [first, mean], { out: name('looked') });
    const sum = op('last', 'Add', [first, looked], { out: name('sum') });
    row = op('last', 'Mul', [sum, half], { out: name('row') });
  }
  op('last', 'Reshape', [row!, edit.ints([0, -1])], { out: ROLLOUT_OUTPUT });
}

/** 1 for the first token, 0 for the others, [N], as many as a matrix has columns. */
function firstToken(edit: GraphEdit, matrix: string): string {
  const name = (what: string) => `dino_rollout_first_${what}`;
  const shape = edit.op('last', 'Shape', [matrix], { out: name('shape') });
  const [zero, one, last] = [0, 1, -1].map((value) => edit.ints([value], true)) as [string, string, string];
  const count = edit.op('last', 'Gather', [shape, last], { out: name('count') });
  const places = edit.op('last', 'Range', [zero, count, one], { out: name('places') });
  const isFirst = edit.op('last', 'Equal', [places, zero], { out: name('is') });
  const row = edit.op('last', 'Cast', [isFirst], { out: name('row'), attributes: { to: DataType.FLOAT } });
  return edit.op('last', 'Reshape', [row, edit.ints([1, 1, 1, -1])], { out: name('token') });
}
