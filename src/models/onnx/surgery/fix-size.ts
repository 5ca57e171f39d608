import type { GraphProto } from '../generated/onnx_pb.js';
import { GraphEdit } from './graph-edit.js';

/** What `patchGrid` calls the height and width of the input. */
const IMAGE_SIZE = 'image_size';

/**
 * Makes a graph one for square images of this side alone: what depends on the size, as the positions that are brought to its
 * grid, is computed once then, when the model is opened.
 *
 * @param graph one whose size `patchGrid` finds out; others are left as they are
 */
export function fixSize(graph: GraphProto, side: number): void {
  if (!graph.node.some(({ opType, output }) => opType === 'Slice' && output[0] === IMAGE_SIZE)) return;
  const size = new GraphEdit(graph).ints([side, side]);
  graph.node = graph.node.filter(({ output }) => output[0] !== IMAGE_SIZE);
  for (const node of graph.node) node.input = node.input.map((name) => (name === IMAGE_SIZE ? size : name));
}
