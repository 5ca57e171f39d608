import { CheckpointError, cutOff, damaged, quote } from './checkpoint-error.js';
import type { Checkpoint } from './checkpoint.js';
import { ELEMENT_BYTES } from './elements.js';
import { flatten } from './flatten.js';
import { MAX_PICKLE_BYTES, MoreBytesNeeded, type PickleSource } from './pickle/pickle-reader.js';
import { unpickle } from './pickle/unpickler.js';
import type { StorageReference, TensorReference } from './pickle/values.js';
import type { RandomAccessFile } from './random-access-file.js';
import { bytesOfFile, type StorageBytes } from './storage-bytes.js';
import { StoredTensor } from './stored-tensor.js';
import { bytesOfReference, storageReference } from './torch-storage.js';

/** What the first pickle of the file holds, by PyTorch's definition. */
const MAGIC_NUMBER = 0x1950a86a20f9469cfc6cn;
const PROTOCOL_VERSION = 1001;
/** Read at first; most checkpoints have a smaller pickle. */
const FIRST_WINDOW_BYTES = 2 ** 20;

/**
 * The format of torch.save before PyTorch 1.6, one after another: pickles of a magic number, the protocol, facts
 * about the machine, everything but the storages, and the storages' keys; then each storage, in the order of the
 * keys, as the number of its elements in 8 bytes and the elements. Always little-endian.
 *
 * @throws CheckpointError
 */
export async function openTorchLegacy(file: RandomAccessFile): Promise<Checkpoint> {
  const where = file.path;
  const pickles = await readPickles(file);
  const storages = await findStorages(file, pickles);

  function open({ storage, view }: TensorReference): StoredTensor {
    const bytes = storages.get(storage.key);
    if (bytes === undefined) throw damaged(where, `its storage ${quote(storage.key)} is missing`);
    return new StoredTensor(bytesOfReference(storage, bytes), view, { littleEndian: true, where });
  }
  return { format: 'pytorch-legacy', ...flatten(pickles.value, { where, open }), close: () => file.close() };
}

interface Pickles {
  readonly value: unknown;
  readonly keys: readonly unknown[];
  /** The storages that the pickle refers to. */
  readonly references: ReadonlyMap<string, StorageReference>;
  /** Where the storages begin. */
  readonly end: number;
}

/** The pickles' length is known only after reading them: more of the file is taken as long as it is needed. */
async function readPickles(file: RandomAccessFile): Promise<Pickles> {
  for (let length = FIRST_WINDOW_BYTES; ; length *= 4) {
    const bytes = await file.read(0, Math.min(length, file.size, MAX_PICKLE_BYTES));
    const whole = bytes.length === file.size || bytes.length === MAX_PICKLE_BYTES;
    try {
      return parsePickles({ bytes, whole, where: file.path });
    } catch (error) {
      if (!(error instanceof MoreBytesNeeded)) throw error;
    }
  }
}

function parsePickles(source: PickleSource): Pickles {
  const { where } = source;
  const references = new Map<string, StorageReference>();
  function persistentLoad(id: unknown): StorageReference {
    const reference = storageReference(id, where);
    const known = references.get(reference.key) ?? reference;
    if (known.dtype !== reference.dtype || known.wholeElements !== reference.wholeElements) {
      throw damaged(where, `its storage ${quote(reference.key)} is described in two ways`);
    }
    references.set(reference.key, known);
    return reference;
  }

  let position = 0;
  function next(): unknown {
    const read = unpickle(source, { persistentLoad }, position);
    position = read.position;
    return read.value;
  }
  if (next() !== MAGIC_NUMBER) {
    throw new CheckpointError(
      `${where} is a pickle, but not one of PyTorch's torch.save. Load it in Python and save the weights with ` +
        "torch.save(weights, 'weights.pth').",
    );
  }
  const protocol = next();
  if (protocol !== PROTOCOL_VERSION) throw damaged(where, 'its protocol is not the one of PyTorch');
  // The facts about the machine: sizes of C types, which no file depends on.
  next();
  const value = next();
  const keys = next();
  if (!Array.isArray(keys)) throw damaged(where, 'the list of its storages is missing');
  return { value, keys, references, end: position };
}

async function findStorages(
  file: RandomAccessFile,
  pickles: Pickles,
): Promise<ReadonlyMap<string, StorageBytes>> {
  const storages = new Map<string, StorageBytes>();
  let position = pickles.end;
  for (const key of pickles.keys) {
    const reference = typeof key === 'string' ? pickles.references.get(key) : undefined;
    if (reference === undefined || storages.has(reference.key)) {
      throw damaged(file.path, 'the list of its storages does not fit its contents');
    }
    const count = (await file.read(position, 8)).readBigInt64LE();
    if (count !== BigInt(reference.wholeElements)) {
      throw damaged(
        file.path,
        `its storage ${quote(reference.key)} does not have the length that was announced`,
      );
    }
    const start = position + 8;
    position = start + reference.wholeElements * ELEMENT_BYTES[reference.dtype];
    if (position > file.size) {
      throw cutOff(file.path, `it should have at least ${position} bytes and has ${file.size}`);
    }
    storages.set(reference.key, bytesOfFile(file, start, position));
  }
  return storages;
}
