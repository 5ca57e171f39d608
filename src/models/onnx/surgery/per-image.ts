import { create } from '@bufbuild/protobuf';
import { attribute } from '../attributes.js';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as Type,
  GraphProtoSchema,
  NodeProtoSchema,
  type GraphProto,
  type NodeProto,
} from '../generated/onnx_pb.js';
import { valueInfo } from '../value-info.js';
import { GraphEdit } from './graph-edit.js';

const SCAN = 'dino_each_image';
/** From this opset on the axes of Squeeze and Unsqueeze are inputs. */
const AXES_AS_INPUT = 13;

/**
 * Makes a graph for one image take any number of them: its nodes become the body of a Scan over the batch.
 *
 * Exporters bake a batch of one into shapes all over a graph; undoing that would be guesswork.
 */
export function runPerImage(graph: GraphProto, opset: number): void {
  const edit = new GraphEdit(graph);
  const alongBatch = (place: 'first' | 'last', kind: 'Squeeze' | 'Unsqueeze', value: string, out: string) =>
    opset >= AXES_AS_INPUT
      ? edit.op(place, kind, [value, edit.ints([0])], { out })
      : edit.op(place, kind, [value], { out, attributes: { axes: [0] } });
  const { node, input, output } = graph;
  const [pixels] = input;
  const body = create(GraphProtoSchema, { name: `${graph.name || 'graph'}_of_one_image` });
  body.input = [withoutBatch(pixels!, 'dino_image')];
  alongBatch('first', 'Unsqueeze', 'dino_image', pixels!.name);
  for (const value of output) {
    body.output.push(
      withoutBatch(value, alongBatch('last', 'Squeeze', value.name, `dino_one_${value.name}`)),
    );
  }
  body.node = [...edit.first, ...node, ...edit.last];
  body.valueInfo = graph.valueInfo;
  graph.valueInfo = [];

  // The body's names must not be those of the graph around it.
  const [outer, outerOutputs] = ['pixels', output.map(({ name }) => name)];
  renameBody(body, new Set([outer, ...outerOutputs]));
  const scan = create(NodeProtoSchema, {
    opType: 'Scan',
    name: SCAN,
    input: [outer],
    output: outerOutputs,
    attribute: [
      create(AttributeProtoSchema, { name: 'body', type: Type.GRAPH, g: body }),
      attribute('num_scan_inputs', 1),
    ],
  });
  graph.node = [scan];
}

/** What `runPerImage` has made of a graph; undefined where it takes a batch by itself. */
export function bodyPerImage({ node }: GraphProto): { scan: NodeProto; body: GraphProto } | undefined {
  const [scan] = node;
  const body = scan?.attribute.find(({ name }) => name === 'body')?.g;
  return scan?.name === SCAN && body !== undefined ? { scan, body } : undefined;
}

/** Gives the values of a body that are called like one outside another name. */
export function renameBody(body: GraphProto, taken: ReadonlySet<string>): void {
  const renamed = (name: string) => (taken.has(name) ? `dino_inner_${name}` : name);
  for (const node of body.node) {
    node.input = node.input.map(renamed);
    node.output = node.output.map(renamed);
  }
}

/** An input or output of the body: the same without the first axis. */
function withoutBatch(value: GraphProto['input'][number], name: string): GraphProto['input'][number] {
  const { elemType, shape } = value.type!.tensorType!;
  const info = valueInfo(name, 'float32', []);
  info.type!.tensorType!.elemType = elemType;
  info.type!.tensorType!.shape!.dim = shape!.dim.slice(1);
  return info;
}
