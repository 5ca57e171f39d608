import type { View } from '../stored-tensor.js';
import type { DType } from '../tensor.js';

/** A Python tuple; lists are arrays, dictionaries are Maps, sets are Sets, bytes are Uint8Arrays. */
export class PyTuple {
  readonly items: readonly unknown[];

  constructor(items: readonly unknown[]) {
    this.items = items;
  }
}

/** An object with attributes and nothing else, such as argparse.Namespace. */
export class PyRecord {
  readonly attributes = new Map<string, unknown>();
}

/** One of torch's storage classes. */
export class StorageClass {
  readonly dtype: DType;

  constructor(dtype: DType) {
    this.dtype = dtype;
  }
}

/** A class or function that pickles may name. */
export class Constructor {
  readonly name: string;
  readonly call: (args: readonly unknown[], context: PickleContext) => unknown;

  constructor(name: string, call: (args: readonly unknown[], context: PickleContext) => unknown) {
    this.name = name;
    this.call = call;
  }
}

/** A constant with a name, such as torch.float32. */
export class Constant {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

export interface StoragePlace {
  readonly key: string;
  readonly dtype: DType;
  /** Elements of `dtype`. */
  readonly elements: number;
  /** Elements before the first one, where this is a part of the storage `key`; 0 unless given. */
  readonly start?: number;
  /** Elements of the storage `key`; unless given, this is all of it. */
  readonly wholeElements?: number;
}

/** The bytes of tensors, in another place than the pickle. */
export class StorageReference {
  readonly key: string;
  readonly dtype: DType;
  readonly elements: number;
  readonly start: number;
  readonly wholeElements: number;

  constructor(place: StoragePlace) {
    this.key = place.key;
    this.dtype = place.dtype;
    this.elements = place.elements;
    this.start = place.start ?? 0;
    this.wholeElements = place.wholeElements ?? place.elements;
  }
}

/** A tensor as the pickle describes it; it has been checked to stay inside its storage. */
export class TensorReference {
  readonly storage: StorageReference;
  readonly view: View;

  constructor(storage: StorageReference, view: View) {
    this.storage = storage;
    this.view = view;
  }
}

/** What the machine gives to constructors. */
export interface PickleContext {
  /** What is read, for error messages. */
  readonly where: string;
  /**
   * Announces work or memory that a few bytes of pickle ask for, counted in elements.
   *
   * @throws CheckpointError when a checkpoint would not need so much
   */
  spend(elements: number): void;
}
