import { create } from '@bufbuild/protobuf';
import { NodeProtoSchema, type GraphProto, type NodeProto } from '../generated/onnx_pb.js';
import { GraphEdit } from './graph-edit.js';
import { attributeOf, inputsOf, type GraphIndex } from './graph-index.js';

/** The first position along one axis of a value of this rank is all that is taken of it. */
interface First {
  readonly axis: number;
  readonly rank: number;
}
/** What is taken of a value. */
type Need = 'all' | First;

/** They treat each position of all axes but the last alone, whatever is constant beside it. */
const BY_POSITION = new Set([
  ...['Abs', 'Add', 'Cast', 'DequantizeLinear', 'Div', 'Erf', 'Identity', 'Max', 'Mul', 'QuantizeLinear'],
  ...['Sigmoid', 'Sub', 'LayerNormalization', 'Softmax', 'ReduceMax'],
]);
/** Of those, they work along an axis, which has to be the last. */
const ALONG_LAST = new Set(['LayerNormalization', 'Softmax', 'ReduceMax']);
const PRODUCTS = new Set(['MatMul', 'MatMulInteger']);

/**
 * Leaves in a graph what one output needs, and of the first token alone where the others are not needed for it: the class
 * token's embedding takes the others' keys and values in the last block, and none of their queries, projections and
 * feed-forward. What the output comes to stays the same but for the order in which products are summed up.
 *
 * @param graph nodes in topological order; changed in place
 * @param index of the same graph
 * @param output its name; made by a Gather of position 0
 * @returns how many nodes work on the first token alone now; 0 where the output can't be traced
 */
export function keepFirstToken(graph: GraphProto, index: GraphIndex, output: string): number {
  const needs = new Map<string, Need[]>([[output, ['all']]]);
  /** Of the nodes that stay: what each takes of its inputs, and whether it works on the first token alone. */
  const plans = new Map<NodeProto, { readonly inputs: readonly Need[]; readonly isCut: boolean }>();
  const rank = graph.output.find(({ name }) => name === output)?.type?.tensorType?.shape?.dim.length ?? 0;
  for (const node of [...graph.node].reverse()) {
    const taken = node.output.flatMap((name) => needs.get(name) ?? []);
    if (taken.length === 0) continue;
    const only = node.output.length === 1 ? theOnly(taken) : 'all';
    const cut = only === 'all' ? undefined : inputsOfFirst(index, node, only);
    const chosen = cut === undefined ? chosenFirst(index, node, output, rank) : undefined;
    const inputs = cut ?? chosen ?? node.input.map(() => 'all' as const);
    plans.set(node, { inputs, isCut: cut !== undefined });
    // Bodies of loops take values by name, and whole.
    for (const name of inputsOf(node)) {
      const at = node.input.indexOf(name);
      needs.set(name, [...(needs.get(name) ?? []), at < 0 ? 'all' : inputs[at]!]);
    }
  }

  const cutValues = new Set([...plans].filter(([, { isCut }]) => isCut).flatMap(([{ output }]) => output));
  const edit = new GraphEdit(graph);
  const nodes: NodeProto[] = [];
  const slices = new Set<string>();
  const firstOf = (name: string, { axis }: First) => {
    const out = `${name}.first_of_${axis}`;
    if (!slices.has(out)) {
      const bounds = [[0], [1], [axis]].map((values) => edit.ints(values));
      nodes.push(
        create(NodeProtoSchema, { opType: 'Slice', name: out, input: [name, ...bounds], output: [out] }),
      );
      slices.add(out);
    }
    return out;
  };
  for (const node of graph.node) {
    const plan = plans.get(node);
    if (plan === undefined) continue;
    node.input = node.input.map((name, i) => {
      const need = plan.inputs[i]!;
      return need === 'all' || name === '' || cutValues.has(name) ? name : firstOf(name, need);
    });
    nodes.push(node);
  }
  graph.node = nodes;
  graph.output = graph.output.filter(({ name }) => name === output);
  return cutValues.size;
}

function theOnly(needs: readonly Need[]): Need {
  const [first, ...others] = needs as [Need, ...Need[]];
  if (first === 'all') return 'all';
  const isSame = (need: Need) => need !== 'all' && need.axis === first.axis && need.rank === first.rank;
  return others.every(isSame) ? first : 'all';
}

/** What the Gather that makes the output takes: position 0 of its input. */
function chosenFirst(
  index: GraphIndex,
  node: NodeProto,
  output: string,
  rank: number,
): readonly Need[] | undefined {
  if (node.opType !== 'Gather' || node.output[0] !== output) return undefined;
  const places = index.constantInts(node.input[1]);
  const axis = Number(attributeOf(node, 'axis')?.i ?? 0);
  const isScalar = index.constantShape(node.input[1])?.length === 0;
  if (!isScalar || places?.[0] !== 0 || axis < 0 || axis >= rank) return undefined;
  return [{ axis, rank: rank + 1 }, 'all'];
}

/** What a node takes of its inputs to make the first position of its output; undefined where it takes all for that. */
function inputsOfFirst(index: GraphIndex, node: NodeProto, first: First): readonly Need[] | undefined {
  const { axis, rank } = first;
  const [x, ...others] = node.input as [string, ...string[]];
  const rest = others.map(() => 'all' as const);
  if (axis >= rank - 1) return undefined;
  if (BY_POSITION.has(node.opType)) {
    if (ALONG_LAST.has(node.opType) && !isAlongLast(index, node, rank)) return undefined;
    const inputs = node.input.map((name) => needBeside(index, name, first));
    return inputs.every((need) => need !== undefined) ? inputs : undefined;
  }
  if (PRODUCTS.has(node.opType)) return axis === rank - 2 ? [first, ...rest] : undefined;
  if (node.opType === 'Transpose') {
    const before = Number(attributeOf(node, 'perm')?.ints[axis] ?? rank - 1 - axis);
    return before < rank - 1 ? [{ axis: before, rank }] : undefined;
  }
  if (node.opType === 'Reshape') {
    const kept = index.constantInts(node.input[1])?.slice(0, axis + 1);
    const before = rankOfTransposed(index, x);
    // A zero in the shape copies the axis.
    const isKept = kept?.length === axis + 1 && kept.every((size) => size === 0);
    return isKept && before !== undefined ? [{ axis, rank: before }, ...rest] : undefined;
  }
  if (node.opType === 'Gather') {
    const along = Number(attributeOf(node, 'axis')?.i ?? 0);
    if (along < 0 || index.constantShape(node.input[1])?.length !== 0) return undefined;
    return [{ axis: axis < along ? axis : axis + 1, rank: rank + 1 }, ...rest];
  }
  return undefined;
}

/** The need of one input of a node that treats positions alone; undefined where it can't be told. */
function needBeside(index: GraphIndex, name: string, first: First): Need | undefined {
  if (name === '') return 'all';
  const shape = index.constantShape(name);
  // Constants are the same for all positions, or have a value for each and stay out.
  if (shape !== undefined) return shape.slice(0, -1).every((size) => size === 1) ? 'all' : undefined;
  return index.isFromImage(name) ? first : undefined;
}

function isAlongLast(index: GraphIndex, node: NodeProto, rank: number): boolean {
  const given = attributeOf(node, 'axis')?.i;
  const axes = given === undefined ? index.intsOf(node, 'axes', 1) : [Number(given)];
  const keeps = Number(attributeOf(node, 'keepdims')?.i ?? 1) === 1;
  // Without either, LayerNormalization and Softmax take the last.
  const chosen = axes ?? (node.opType === 'ReduceMax' ? [] : [-1]);
  return keeps && chosen.length === 1 && (chosen[0] === -1 || chosen[0] === rank - 1);
}

/** The rank of a value that a Transpose makes. */
function rankOfTransposed(index: GraphIndex, value: string): number | undefined {
  const node = index.producer(value);
  return node?.opType === 'Transpose' ? attributeOf(node, 'perm')?.ints.length : undefined;
}
