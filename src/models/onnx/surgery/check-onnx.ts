import { CheckpointError } from '../../checkpoints/checkpoint-error.js';
import type { GraphProto, ModelProto, NodeProto } from '../generated/onnx_pb.js';

/** From 11 on the operators that are added here take their arguments as they are written here. */
export const OLDEST_OPSET = 11;
/** What onnxruntime 1.30 reads (https://onnxruntime.ai/docs/reference/compatibility.html); a test holds them against it. */
export const NEWEST_OPSET = 26;
export const NEWEST_IR_VERSION = 13n;
/** Domains whose operators onnxruntime brings along. */
const DOMAINS = new Set(['', 'ai.onnx', 'ai.onnx.ml', 'com.microsoft']);

/**
 * Checks that onnxruntime can run the graph and that it may be changed here.
 *
 * @returns version of the default operator set
 * @throws CheckpointError that names what is too new, too old or unknown
 */
export function checkOnnx({ irVersion, opsetImport, functions, graph }: ModelProto): number {
  const opset = Number(opsetImport.find(({ domain }) => isDefault(domain))?.version ?? 0);
  if (opset < OLDEST_OPSET) {
    throw new CheckpointError(
      `the ONNX file uses opset ${opset}: export it again with opset 17, or ${OLDEST_OPSET} at least`,
    );
  }
  if (opset > NEWEST_OPSET || irVersion > NEWEST_IR_VERSION) {
    throw new CheckpointError(
      `the ONNX file uses opset ${opset} and IR version ${irVersion}, newer than what can be run here (${NEWEST_OPSET} and ${NEWEST_IR_VERSION}): export it again with opset 17`,
    );
  }
  const own = new Set(functions.map(({ domain, name }) => `${domain}:${name}`));
  const foreign = new Set<string>();
  for (const node of [...allNodes(graph!), ...functions.flatMap((body) => body.node)]) {
    if (!DOMAINS.has(node.domain) && !own.has(`${node.domain}:${node.opType}`)) {
      foreign.add(`${node.domain}::${node.opType}`);
    }
  }
  if (foreign.size > 0) {
    throw new CheckpointError(
      `the ONNX file uses operators that only a library of its makers has (${[...foreign].join(', ')}): export it with standard operators`,
    );
  }
  return opset;
}

function isDefault(domain: string): boolean {
  return domain === '' || domain === 'ai.onnx';
}

/** A graph's nodes and those of its loops and branches. */
export function* allNodes(graph: GraphProto): Generator<NodeProto> {
  for (const node of graph.node) {
    yield node;
    for (const body of bodiesOf(node)) yield* allNodes(body);
  }
}

/** The graphs inside a loop or a branch. */
export function bodiesOf(node: NodeProto): GraphProto[] {
  return node.attribute.flatMap(({ g, graphs }) => [...(g ? [g] : []), ...graphs]);
}
