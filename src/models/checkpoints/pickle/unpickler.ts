import type { CheckpointError } from '../checkpoint-error.js';
import { damaged } from '../checkpoint-error.js';
import { findGlobal, refused } from './constructors.js';
import { NumpyArray, NumpyType } from './numpy.js';
import { OP } from './opcodes.js';
import { PickleReader, type PickleSource } from './pickle-reader.js';
import * as text from './pickle-text.js';
import { Constructor, PyRecord, PyTuple, TensorReference, type PickleContext } from './values.js';

export interface UnpickleOptions {
  /** What an identifier outside the pickle stands for: a storage. @throws CheckpointError */
  readonly persistentLoad: (id: unknown) => unknown;
}

/** A full training checkpoint of the largest model has some hundred thousand. */
const MAX_OPCODES = 4_000_000;
/** Work that a few bytes can ask for: elements copied out of the memo. */
const MAX_SPENDING = 2 ** 26;
/** The highest protocol there is. */
const MAX_PROTOCOL = 5;

const NAME_OF_OPCODE: ReadonlyMap<number, string> = new Map(
  Object.entries(OP).map(([name, code]) => [code, name]),
);

/**
 * Reads one pickle without running anything: a stack machine that knows data and a short list of
 * constructors (constructors.ts); every other name is refused.
 *
 * The format: https://github.com/python/cpython/blob/main/Lib/pickletools.py
 *
 * @param position where the pickle begins in the source
 * @returns the value, and the position behind the pickle
 * @throws CheckpointError when it is damaged, cut off, asks for what is not on the list, or is too large
 * @throws MoreBytesNeeded when the source is not whole and ends in the middle of the pickle
 */
export function unpickle(
  source: PickleSource,
  options: UnpickleOptions,
  position = 0,
): { value: unknown; position: number } {
  const machine = new Unpickler(source, options, position);
  const value = machine.run();
  return { value, position: machine.reader.position };
}

class Unpickler implements PickleContext {
  readonly where: string;
  readonly reader: PickleReader;
  readonly #persistentLoad: UnpickleOptions['persistentLoad'];
  readonly #stack: unknown[] = [];
  /** Heights of the stack at each MARK. */
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, unknown>();
  #spent = 0;

  constructor(source: PickleSource, options: UnpickleOptions, position: number) {
    this.where = source.where;
    this.reader = new PickleReader(source, position);
    this.#persistentLoad = options.persistentLoad;
  }

  run(): unknown {
    for (let count = 0; count < MAX_OPCODES; count++) {
      const opcode = this.reader.uint8();
      if (opcode === OP.STOP) return this.#pop();
      this.#step(opcode);
    }
    throw damaged(this.where, `its pickle has more than ${MAX_OPCODES} instructions`);
  }

  spend(elements: number): void {
    this.#spent += elements;
    if (this.#spent > MAX_SPENDING)
      throw damaged(this.where, 'its pickle copies the same data again and again');
  }

  #step(opcode: number): void {
    const { reader } = this;
    switch (opcode) {
      case OP.PROTO: {
        const protocol = reader.uint8();
        if (protocol > MAX_PROTOCOL) throw damaged(this.where, `there is no pickle protocol ${protocol}`);
        return;
      }
      case OP.FRAME:
        // Frames only help to read ahead.
        reader.length64();
        return;
      case OP.MARK:
        this.#marks.push(this.#stack.length);
        return;
      case OP.POP:
        if (this.#stack.length === this.#floor()) this.#popMark();
        else this.#pop();
        return;
      case OP.POP_MARK:
        this.#popMark();
        return;
      case OP.DUP:
        return this.#push(this.#top());

      case OP.NONE:
        return this.#push(null);
      case OP.NEWTRUE:
        return this.#push(true);
      case OP.NEWFALSE:
        return this.#push(false);
      case OP.BININT:
        return this.#push(reader.int32());
      case OP.BININT1:
        return this.#push(reader.uint8());
      case OP.BININT2:
        return this.#push(reader.uint16());
      case OP.LONG1:
        return this.#push(reader.long(reader.uint8()));
      case OP.LONG4:
        return this.#push(reader.long(reader.int32()));
      case OP.BINFLOAT:
        return this.#push(reader.float64());
      case OP.INT:
        return this.#push(this.#parsed(text.parseIntegerOrBoolean(reader.line())));
      case OP.LONG:
        return this.#push(this.#parsed(text.parseInteger(reader.line().replace(/L$/, ''))));
      case OP.FLOAT:
        return this.#push(this.#parsed(text.parseFloatLine(reader.line())));

      case OP.SHORT_BINSTRING:
      case OP.SHORT_BINUNICODE:
        return this.#push(reader.text(reader.uint8()));
      case OP.BINSTRING:
      case OP.BINUNICODE:
        return this.#push(reader.text(reader.uint32()));
      case OP.BINUNICODE8:
        return this.#push(reader.text(reader.length64()));
      case OP.STRING:
        return this.#push(this.#parsed(text.parseQuoted(reader.longLine())));
      case OP.UNICODE:
        return this.#push(this.#parsed(text.parseEscaped(reader.longLine())));
      case OP.SHORT_BINBYTES:
        return this.#push(reader.take(reader.uint8()));
      case OP.BINBYTES:
        return this.#push(reader.take(reader.uint32()));
      case OP.BINBYTES8:
      case OP.BYTEARRAY8:
        return this.#push(reader.take(reader.length64()));

      case OP.EMPTY_TUPLE:
        return this.#push(new PyTuple([]));
      case OP.TUPLE:
        return this.#push(new PyTuple(this.#popMark()));
      case OP.TUPLE1:
      case OP.TUPLE2:
      case OP.TUPLE3:
        return this.#push(new PyTuple(this.#popMany(opcode - OP.TUPLE1 + 1)));
      case OP.EMPTY_LIST:
        return this.#push([]);
      case OP.LIST:
        return this.#push(this.#popMark());
      case OP.APPEND: {
        const [item] = this.#popMany(1);
        return this.#extend([item]);
      }
      case OP.APPENDS:
        return this.#extend(this.#popMark());
      case OP.EMPTY_DICT:
        return this.#push(new Map());
      case OP.DICT: {
        const entries = this.#popMark();
        this.#push(new Map());
        return this.#setItems(entries);
      }
      case OP.SETITEM:
        return this.#setItems(this.#popMany(2));
      case OP.SETITEMS:
        return this.#setItems(this.#popMark());
      case OP.EMPTY_SET:
        return this.#push(new Set());
      case OP.FROZENSET:
        return this.#push(new Set(this.#popMark()));
      case OP.ADDITEMS: {
        const items = this.#popMark();
        const set = this.#top();
        if (!(set instanceof Set)) throw this.#confused(opcode);
        for (const item of items) set.add(item);
        return;
      }

      case OP.PUT:
        return this.#remember(this.#parsed(text.parseIndex(reader.line())));
      case OP.BINPUT:
        return this.#remember(reader.uint8());
      case OP.LONG_BINPUT:
        return this.#remember(reader.uint32());
      case OP.MEMOIZE:
        return this.#remember(this.#memo.size);
      case OP.GET:
        return this.#recall(this.#parsed(text.parseIndex(reader.line())));
      case OP.BINGET:
        return this.#recall(reader.uint8());
      case OP.LONG_BINGET:
        return this.#recall(reader.uint32());

      case OP.BINPERSID:
        return this.#push(this.#persistentLoad(this.#pop()));
      case OP.GLOBAL:
        return this.#push(this.#findGlobal(reader.line(), reader.line()));
      case OP.STACK_GLOBAL: {
        const [module, name] = this.#popMany(2);
        return this.#push(this.#findGlobal(module, name));
      }
      case OP.REDUCE:
      case OP.NEWOBJ: {
        const [kind, args] = this.#popMany(2);
        return this.#push(this.#call(kind, args, opcode));
      }
      case OP.NEWOBJ_EX: {
        const [kind, args, keywords] = this.#popMany(3);
        if (!(keywords instanceof Map) || keywords.size > 0) throw this.#confused(opcode);
        return this.#push(this.#call(kind, args, opcode));
      }
      case OP.INST: {
        const kind = this.#findGlobal(reader.line(), reader.line());
        return this.#push(this.#call(kind, new PyTuple(this.#popMark()), opcode));
      }
      case OP.OBJ: {
        const [kind, ...args] = this.#popMark();
        return this.#push(this.#call(kind, new PyTuple(args), opcode));
      }
      case OP.BUILD:
        return this.#build(this.#pop(), this.#top());

      case OP.PERSID:
        throw refused(this.where, `a persistent id written as text`);
      case OP.EXT1:
        throw refused(this.where, `the extension ${reader.uint8()}`);
      case OP.EXT2:
        throw refused(this.where, `the extension ${reader.uint16()}`);
      case OP.EXT4:
        throw refused(this.where, `the extension ${reader.int32()}`);
      case OP.NEXT_BUFFER:
      case OP.READONLY_BUFFER:
        throw refused(this.where, 'a buffer outside the file');
      default:
        throw damaged(this.where, `its pickle has the unknown instruction 0x${opcode.toString(16)}`);
    }
  }

  #push(value: unknown): void {
    this.#stack.push(value);
  }

  /** The height below which the values belong to an earlier MARK. */
  #floor(): number {
    return this.#marks.at(-1) ?? 0;
  }

  #popMany(count: number): unknown[] {
    if (this.#stack.length - count < this.#floor())
      throw damaged(this.where, 'its pickle takes what is not there');
    return this.#stack.splice(this.#stack.length - count, count);
  }

  #pop(): unknown {
    return this.#popMany(1)[0];
  }

  #top(): unknown {
    if (this.#stack.length === this.#floor()) throw damaged(this.where, 'its pickle takes what is not there');
    return this.#stack.at(-1);
  }

  #popMark(): unknown[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw damaged(this.where, 'its pickle takes what is not there');
    return this.#stack.splice(mark);
  }

  #remember(index: number): void {
    this.#memo.set(index, this.#top());
  }

  #recall(index: number): void {
    if (!this.#memo.has(index))
      throw damaged(this.where, `its pickle refers to value ${index}, which is not there`);
    this.#push(this.#memo.get(index));
  }

  #extend(items: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#confused(OP.APPENDS);
    for (const item of items) list.push(item);
  }

  /** @param entries keys and values by turns */
  #setItems(entries: readonly unknown[]): void {
    const dictionary = this.#top();
    if (!(dictionary instanceof Map) || entries.length % 2 !== 0) throw this.#confused(OP.SETITEMS);
    for (let i = 0; i < entries.length; i += 2) dictionary.set(entries[i], entries[i + 1]);
  }

  #findGlobal(module: unknown, name: unknown): unknown {
    if (typeof module !== 'string' || typeof name !== 'string') throw this.#confused(OP.STACK_GLOBAL);
    return findGlobal(module, name, this.where);
  }

  #call(kind: unknown, args: unknown, opcode: number): unknown {
    if (!(kind instanceof Constructor) || !(args instanceof PyTuple)) throw this.#confused(opcode);
    this.spend(args.items.length);
    return kind.call(args.items, this);
  }

  /** Gives an object its state, as `__setstate__` or `__dict__.update` would. */
  #build(state: unknown, object: unknown): void {
    if (object instanceof NumpyType || object instanceof NumpyArray) return object.setState(state, this);
    // Attributes of an OrderedDict (`_metadata`) or of a tensor say nothing about weights.
    if ((object instanceof Map || object instanceof TensorReference) && state instanceof Map) return;
    if (!(object instanceof PyRecord) || !(state instanceof Map)) throw this.#confused(OP.BUILD);
    this.spend(state.size);
    for (const [name, value] of state as Map<unknown, unknown>) {
      if (typeof name === 'string') object.attributes.set(name, value);
    }
  }

  #parsed<T>(value: T | undefined): T {
    if (value === undefined)
      throw damaged(this.where, 'its pickle has a number or text that Python does not write');
    return value;
  }

  #confused(opcode: number): CheckpointError {
    return damaged(this.where, `its pickle uses ${NAME_OF_OPCODE.get(opcode)} on what it is not made for`);
  }
}
