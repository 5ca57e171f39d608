import { CheckpointError, damaged, quote } from './checkpoint-error.js';
import type { Checkpoint } from './checkpoint.js';
import { ELEMENT_BYTES } from './elements.js';
import { flatten } from './flatten.js';
import { MAX_PICKLE_BYTES } from './pickle/pickle-reader.js';
import { unpickle } from './pickle/unpickler.js';
import type { TensorReference } from './pickle/values.js';
import type { RandomAccessFile } from './random-access-file.js';
import { StoredTensor } from './stored-tensor.js';
import { bytesOfReference, storageReference } from './torch-storage.js';
import { readZipDirectory, type ZipEntry } from './zip-archive.js';

/**
 * The format of torch.save since PyTorch 1.6: a zip archive with one folder, in it `data.pkl`, which is a pickle of
 * everything but the storages, and `data/<key>` with the bytes of each storage.
 *
 * @throws CheckpointError
 */
export async function openTorchZip(file: RandomAccessFile): Promise<Checkpoint> {
  const where = file.path;
  const entries = await readZipDirectory(file);
  const folder = findFolder(entries, where);
  const littleEndian = await isLittleEndian(entries.get(`${folder}/byteorder`), where);
  const pickle = await entries.get(`${folder}/data.pkl`)!.readAll(MAX_PICKLE_BYTES);
  const { value } = unpickle(
    { bytes: pickle, whole: true, where },
    { persistentLoad: (id) => storageReference(id, where) },
  );

  function open({ storage, view }: TensorReference): StoredTensor {
    const name = `${folder}/data/${storage.key}`;
    const entry = entries.get(name);
    if (entry === undefined) throw damaged(where, `its part ${quote(name)} is missing`);
    const expected = storage.wholeElements * ELEMENT_BYTES[storage.dtype];
    if (entry.byteLength !== expected) {
      throw damaged(
        where,
        `its part ${quote(name)} unpacks to ${entry.byteLength} bytes and should have ${expected}`,
      );
    }
    return new StoredTensor(bytesOfReference(storage, entry), view, { littleEndian, where });
  }
  return { format: 'pytorch', ...flatten(value, { where, open }), close: () => file.close() };
}

function findFolder(entries: ReadonlyMap<string, ZipEntry>, where: string): string {
  const names = [...entries.keys()];
  if (names.some((name) => /^[^/]+\/(constants\.pkl|code\/)/.test(name))) {
    throw new CheckpointError(
      `${where} is a TorchScript program and not a checkpoint. Save its weights in PyTorch with ` +
        "torch.save(torch.jit.load(path).state_dict(), 'weights.pth').",
    );
  }
  const pickles = names.filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    throw new CheckpointError(
      `${where} is a zip archive, but not one of PyTorch's torch.save. Give the checkpoint file itself; ` +
        'if it lies in the archive, unpack it first.',
    );
  }
  return pickles[0]!.slice(0, -'/data.pkl'.length);
}

/** Machines with the other byte order are rare; files older than this entry are little-endian. */
async function isLittleEndian(entry: ZipEntry | undefined, where: string): Promise<boolean> {
  const order = (await entry?.readAll(16))?.toString('latin1') ?? 'little';
  if (order !== 'little' && order !== 'big') throw damaged(where, `its byte order is "${quote(order)}"`);
  return order === 'little';
}
