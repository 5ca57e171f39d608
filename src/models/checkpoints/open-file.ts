import { CheckpointError } from './checkpoint-error.js';
import type { Checkpoint } from './checkpoint.js';
import { RandomAccessFile } from './random-access-file.js';
import { MAX_HEADER_BYTES, openSafetensors } from './safetensors.js';
import { openTorchLegacy } from './torch-legacy.js';
import { openTorchZip } from './torch-zip.js';

/** Opens one file of weights; its format is recognised by its first bytes. @throws CheckpointError */
export async function openCheckpointFile(path: string): Promise<Checkpoint> {
  const file = await RandomAccessFile.open(path);
  try {
    const head = await file.read(0, Math.min(64, file.size));
    return await opener(head, path)(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function opener(head: Buffer, path: string): (file: RandomAccessFile) => Promise<Checkpoint> {
  const text = head.toString('latin1');
  if (head.length === 0) throw new CheckpointError(`${path} is empty. Download or copy it again.`);
  if (text.startsWith('PK')) return openTorchZip;
  // PROTO 2 to 5, or the magic number as protocol 0 writes it.
  if (head[0] === 0x80 || /^[LI]1195/.test(text)) return openTorchLegacy;
  if (head.length > 8 && text[8] === '{' && head.readBigUInt64LE() <= MAX_HEADER_BYTES)
    return openSafetensors;
  throw new CheckpointError(`${path} ${guess(text)}`);
}

/** What else it may be. */
function guess(head: string): string {
  if (head.startsWith('version https://git-lfs')) {
    return 'is a pointer of Git LFS and not the file itself. Fetch the file with `git lfs pull`.';
  }
  if (/^\s*<(!doctype|html|\?xml)/i.test(head)) {
    return 'is a web page and not a checkpoint. Download the file that the page is about.';
  }
  if (head.startsWith('\x1f\x8b') || head.startsWith('BZh') || head.startsWith('\xfd7zXZ')) {
    return 'is compressed. Unpack it first.';
  }
  return 'is not a checkpoint: neither a PyTorch file (.pth, .pt, .bin) nor .safetensors. Give one of these.';
}
