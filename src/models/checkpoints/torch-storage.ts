import { CheckpointError, damaged } from './checkpoint-error.js';
import { ELEMENT_BYTES } from './elements.js';
import { PyTuple, StorageClass, StorageReference } from './pickle/values.js';
import { partOf, type StorageBytes } from './storage-bytes.js';

/**
 * What PyTorch writes in place of a storage: `('storage', class, key, location, elements)`, and in old files a
 * sixth part, None or `(key of the view, offset, elements)` when this storage is a part of another.
 *
 * @throws CheckpointError when it is something else
 */
export function storageReference(id: unknown, where: string): StorageReference {
  const [kind, storageClass, key, , elements, part] = id instanceof PyTuple ? id.items : [];
  if (kind === 'module') {
    // Very old files carry source code beside a pickled network.
    throw new CheckpointError(
      `${where} holds a whole network and not its weights. Load it in PyTorch and save them with ` +
        "torch.save(model.state_dict(), 'weights.pth').",
    );
  }
  const valid = kind === 'storage' && storageClass instanceof StorageClass && typeof key === 'string';
  if (!valid || !isCount(elements))
    throw damaged(where, 'its pickle refers to a storage as PyTorch does not');
  const { dtype } = storageClass;
  if (!(part instanceof PyTuple)) return new StorageReference({ key, dtype, elements });
  const [, start, partElements] = part.items;
  if (!isCount(start) || !isCount(partElements) || start + partElements > elements) {
    throw damaged(where, `its storage ${key} has a part that reaches past its end`);
  }
  return new StorageReference({ key, dtype, elements: partElements, start, wholeElements: elements });
}

/** The bytes of a storage that is all or a part of the one with its key. */
export function bytesOfReference(reference: StorageReference, whole: StorageBytes): StorageBytes {
  const size = ELEMENT_BYTES[reference.dtype];
  return partOf(whole, reference.start * size, (reference.start + reference.elements) * size);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
