import { deflateRawSync } from 'node:zlib';
import { crc32 } from '#dino/models/checkpoints/crc32.js';
import { OP } from '#dino/models/checkpoints/pickle/opcodes.js';

/** Parts of a pickle: opcodes, bytes, or text that stands for its Latin-1 bytes. */
export type PickleParts = readonly (number | string | Uint8Array)[];

/** A pickle of protocol 2 out of its parts; STOP is added. */
export function pickle(...parts: PickleParts): Buffer {
  return join(OP.PROTO, 2, ...parts, OP.STOP);
}

export function join(...parts: PickleParts): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === 'number') return Buffer.of(part);
      return typeof part === 'string' ? Buffer.from(part, 'latin1') : part;
    }),
  );
}

export function text(value: string): Buffer {
  return join(OP.BINUNICODE, uint32(Buffer.byteLength(value)), Buffer.from(value));
}

export function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return join(OP.BININT, bytes);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

export function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

/** A class or function by its name, as protocols up to 3 write it. */
export function global(module: string, name: string): Buffer {
  return join(OP.GLOBAL, `${module}\n${name}\n`);
}

export function tuple(...items: PickleParts): Buffer {
  return join(OP.MARK, ...items, OP.TUPLE);
}

export interface TensorParts {
  readonly storage?: string;
  readonly elements?: number;
  readonly offset?: number;
  readonly shape?: readonly number[];
  readonly strides?: readonly number[];
}

/** A tensor as PyTorch pickles it. */
export function tensor(parts: TensorParts = {}): Buffer {
  const { storage = 'FloatStorage', elements = 4, offset = 0, shape = [4], strides = [1] } = parts;
  const id = tuple(text('storage'), global('torch', storage), text('0'), text('cpu'), int(elements));
  const args = tuple(
    id,
    OP.BINPERSID,
    int(offset),
    tuple(...shape.map(int)),
    tuple(...strides.map(int)),
    OP.NEWFALSE,
    global('collections', 'OrderedDict'),
    OP.EMPTY_TUPLE,
    OP.REDUCE,
  );
  return join(global('torch._utils', '_rebuild_tensor_v2'), args, OP.REDUCE);
}

/** A pickle of `{weight: tensor}`. */
export function stateDict(parts: TensorParts = {}): Buffer {
  return pickle(OP.EMPTY_DICT, text('weight'), tensor(parts), OP.SETITEM);
}

export interface ZipPart {
  readonly name: string;
  readonly data: Uint8Array;
  readonly deflate?: boolean;
  /** What the directory says about the size, if it is not true. */
  readonly announcedSize?: number;
  readonly flags?: number;
  readonly method?: number;
}

/** A zip archive, laid out by hand so that its directory may lie. */
export function zip(parts: readonly ZipPart[]): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const part of parts) {
    const packed = part.deflate ? deflateRawSync(part.data, { level: 9 }) : Buffer.from(part.data);
    const name = Buffer.from(part.name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(part.flags ?? 0, 2);
    common.writeUInt16LE(part.method ?? (part.deflate ? 8 : 0), 4);
    common.writeUInt32LE(crc32(part.data, 0), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(part.announcedSize ?? part.data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const body = join('PK\x03\x04', common, name, packed);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(join('PK\x01\x02', 20, 0, common, tail.subarray(0, 14), name));
    bodies.push(body);
    offset += body.length;
  }
  const list = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(parts.length, 4);
  end.writeUInt16LE(parts.length, 6);
  end.writeUInt32LE(list.length, 8);
  end.writeUInt32LE(offset, 12);
  return join(...bodies, list, 'PK\x05\x06', end);
}

/** A PyTorch archive around a pickle, with the storage `0`. */
export function torchZip(data: Uint8Array, storage: Uint8Array = Buffer.alloc(16)): Buffer {
  return zip([
    { name: 'archive/data.pkl', data },
    { name: 'archive/byteorder', data: Buffer.from('little') },
    { name: 'archive/data/0', data: storage },
  ]);
}

/** A safetensors file around a header. */
export function safetensors(header: unknown, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  return join(uint64(BigInt(json.length)), json, data);
}

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
