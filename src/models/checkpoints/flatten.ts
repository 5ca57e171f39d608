import { CheckpointError, damaged, quote } from './checkpoint-error.js';
import type { CheckpointValue } from './checkpoint.js';
import { NumpyArray } from './pickle/numpy.js';
import { Constant, PyRecord, PyTuple, TensorReference } from './pickle/values.js';
import { bytesInMemory } from './storage-bytes.js';
import { contiguousStrides, StoredTensor } from './stored-tensor.js';
import type { LazyTensor } from './tensor.js';

/** Everything in a tree by its path, keys joined by dots. */
export interface FlatTree {
  readonly tensors: Map<string, LazyTensor>;
  readonly values: Map<string, CheckpointValue>;
}

export interface FlattenOptions {
  readonly where: string;
  /** Gives a tensor of the pickle its bytes. */
  readonly open: (tensor: TensorReference) => LazyTensor;
}

/** The same part may hang in a tree in many places, and so make it endless. */
const MAX_NODES = 2_000_000;
const MAX_DEPTH = 64;
const MAX_NAME = 1000;

/**
 * Lays out what a pickle or a JSON file holds. Sets, bytes and entries whose key is neither text nor a number are
 * left out.
 *
 * @throws CheckpointError when two things have the same path, or the tree is too deep or too large
 */
export function flatten(root: unknown, options: FlattenOptions): FlatTree {
  const flattening = new Flattening(options);
  flattening.visit('', root, 0);
  return flattening;
}

class Flattening implements FlatTree {
  readonly tensors = new Map<string, LazyTensor>();
  readonly values = new Map<string, CheckpointValue>();
  readonly #options: FlattenOptions;
  #nodes = 0;

  constructor(options: FlattenOptions) {
    this.#options = options;
  }

  visit(name: string, node: unknown, depth: number): void {
    const { where, open } = this.#options;
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES || depth > MAX_DEPTH || name.length > MAX_NAME) {
      throw damaged(where, 'what it holds is nested deeper, or is more, than a checkpoint needs');
    }
    if (node instanceof TensorReference) this.#addTensor(name, open(node));
    else if (node instanceof NumpyArray) this.#addTensor(name, tensorOf(node, where));
    else if (node instanceof PyTuple) this.#visitAll(name, node.items.entries(), depth);
    else if (Array.isArray(node)) this.#visitAll(name, node.entries(), depth);
    else if (node instanceof Map) this.#visitAll(name, node, depth);
    else if (node instanceof PyRecord) this.#visitAll(name, node.attributes, depth);
    else if (node instanceof Constant) this.values.set(name, node.name);
    else if (typeof node === 'bigint') this.values.set(name, node.toString());
    else if (isPlain(node)) this.values.set(name, node);
  }

  #visitAll(name: string, entries: Iterable<[unknown, unknown]>, depth: number): void {
    for (const [key, value] of entries) {
      if (typeof key !== 'string' && typeof key !== 'number') continue;
      this.visit(name === '' ? String(key) : `${name}.${key}`, value, depth + 1);
    }
  }

  #addTensor(name: string, tensor: LazyTensor): void {
    if (this.tensors.has(name)) {
      throw new CheckpointError(
        `${this.#options.where} has two tensors called ${quote(name)}, so it is not clear which one is meant. ` +
          'Save it again in PyTorch with one of them.',
      );
    }
    this.tensors.set(name, tensor);
  }
}

function isPlain(node: unknown): node is CheckpointValue {
  return node === null || ['string', 'number', 'boolean'].includes(typeof node);
}

function tensorOf(array: NumpyArray, where: string): LazyTensor {
  const { shape, fortranOrder, bytes, type } = array;
  const strides = fortranOrder ? contiguousStrides([...shape].reverse()).reverse() : contiguousStrides(shape);
  const view = { dtype: type.dtype, offset: 0, shape, strides };
  return new StoredTensor(bytesInMemory(bytes), view, { littleEndian: type.littleEndian, where });
}
