import { CheckpointError, cutOff, damaged, quote } from './checkpoint-error.js';
import type { Checkpoint, CheckpointValue } from './checkpoint.js';
import { ELEMENT_BYTES } from './elements.js';
import type { RandomAccessFile } from './random-access-file.js';
import { bytesOfFile } from './storage-bytes.js';
import { contiguousStrides, elementCount, StoredTensor } from './stored-tensor.js';
import type { DType, LazyTensor } from './tensor.js';

/** The format's own limit. */
export const MAX_HEADER_BYTES = 100_000_000;

const DTYPES: Readonly<Record<string, DType>> = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
};

/** A tensor's place among the bytes behind the header. */
interface Place {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * The format of https://github.com/huggingface/safetensors: the length of a JSON header in 8 bytes, the header, and
 * the tensors, which fill the rest of the file without holes.
 *
 * @throws CheckpointError
 */
export async function openSafetensors(file: RandomAccessFile): Promise<Checkpoint> {
  const where = file.path;
  const headerBytes = Number((await file.read(0, 8)).readBigUInt64LE());
  if (headerBytes > MAX_HEADER_BYTES) throw damaged(where, `its header should have ${headerBytes} bytes`);
  const dataStart = 8 + headerBytes;
  if (dataStart > file.size) throw cutOff(where, 'its header ends in the middle');
  const header = parseHeader(await file.read(8, headerBytes), where);

  const { __metadata__: metadata, ...described } = header;
  const places = Object.entries(described).map(([name, description]) => placeOf(name, description, where));
  checkNoHoles(places, file.size - dataStart, where);

  const tensors = new Map<string, LazyTensor>();
  for (const { name, dtype, shape, begin, end } of places) {
    const bytes = bytesOfFile(file, dataStart + begin, dataStart + end);
    const view = { dtype, offset: 0, shape, strides: contiguousStrides(shape) };
    tensors.set(name, new StoredTensor(bytes, view, { littleEndian: true, where }));
  }
  return { format: 'safetensors', tensors, values: metadataOf(metadata, where), close: () => file.close() };
}

function parseHeader(bytes: Buffer, where: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw damaged(where, 'its header is not JSON', error);
  }
  if (!isRecord(header)) throw damaged(where, 'its header is not a JSON object');
  return header;
}

function placeOf(name: string, description: unknown, where: string): Place {
  const { dtype, shape, data_offsets: offsets } = isRecord(description) ? description : {};
  const known = typeof dtype === 'string' && Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
  if (typeof dtype === 'string' && known === undefined) {
    throw new CheckpointError(
      `${where} has the tensor ${quote(name)} of type ${quote(dtype)}, which is not read. ` +
        `Save it as one of ${Object.keys(DTYPES).join(', ')}.`,
    );
  }
  if (known === undefined || !isNumbers(shape) || !isNumbers(offsets) || offsets.length !== 2) {
    throw damaged(where, `its header does not describe the tensor ${quote(name)} as the format asks`);
  }
  const [begin, end] = offsets as [number, number];
  const count = elementCount(shape);
  if (count === undefined || end - begin !== count * ELEMENT_BYTES[known]) {
    throw damaged(where, `the tensor ${quote(name)} has ${end - begin} bytes, which do not fit its shape`);
  }
  return { name, dtype: known, shape, begin, end };
}

/** Every byte behind the header belongs to one tensor. */
function checkNoHoles(places: readonly Place[], dataBytes: number, where: string): void {
  let position = 0;
  for (const { name, begin, end } of [...places].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position)
      throw damaged(where, `the tensor ${quote(name)} does not begin where the one before ends`);
    position = end;
  }
  if (position > dataBytes) {
    throw cutOff(where, `its tensors should have ${position} bytes and ${dataBytes} are there`);
  }
  if (position < dataBytes)
    throw damaged(where, `${dataBytes - position} bytes at its end belong to no tensor`);
}

function metadataOf(metadata: unknown, where: string): Map<string, CheckpointValue> {
  const values = new Map<string, CheckpointValue>();
  if (metadata === undefined) return values;
  if (!isRecord(metadata)) throw damaged(where, 'the metadata in its header is not a JSON object');
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value !== 'string')
      throw damaged(where, `the metadata ${quote(name)} in its header is not text`);
    values.set(`__metadata__.${name}`, value);
  }
  return values;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isNumbers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}
