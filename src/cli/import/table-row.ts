import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Metadata } from '../../client/resources.js';
import { explain } from '../image-files.js';
import { MAX_IMAGE_BYTES, type ImportEntry } from './import-entry.js';
import { pickMetadata } from './metadata-fields.js';

/** A row of a table: an object by column. */
export interface TableRow {
  readonly values: Readonly<Record<string, unknown>>;
  /** Where it is, for people. */
  readonly source: string;
  readonly weight: number;
}

/** Columns that may hold the vector; the first one that is there. */
const VECTOR_COLUMNS = ['vector', 'embedding'];
/** Columns that may hold the image: its path, or its bytes. */
const IMAGE_COLUMNS = ['image', 'path', 'file', 'file_name'];

/**
 * What a row stands for: an image, by its path or its bytes, or a vector of its own. Its id is in `id`, or else the
 * path as it is written. Where there is a column `metadata` that is the metadata, else all other columns are.
 *
 * @param table path of the table; paths in it are relative to its folder
 */
export async function toEntry(row: TableRow, table: string): Promise<ImportEntry> {
  const { values, source, weight } = row;
  const unreadable = (reason: string): ImportEntry => ({ kind: 'unreadable', source, reason, weight });
  const given = (names: readonly string[]) => names.find((name) => isGiven(values[name]));
  const vectorColumn = given(VECTOR_COLUMNS);
  const imageColumn = given(IMAGE_COLUMNS);
  const found = metadataOf(values, [vectorColumn, imageColumn]);
  if (typeof found === 'string') return unreadable(found);
  const id = isGiven(values.id) ? String(values.id) : undefined;

  if (vectorColumn !== undefined) {
    const vector = toVector(values[vectorColumn]);
    if (vector === undefined)
      return unreadable(`its ${vectorColumn} is no list of numbers and no base64 of float32`);
    if (id === undefined) return unreadable('it has a vector and no id');
    return { kind: 'vector', id, vector, ...found, source, weight };
  }
  if (imageColumn === undefined) {
    return unreadable(
      `it has neither a vector nor an image: none of ${[...VECTOR_COLUMNS, ...IMAGE_COLUMNS].join(', ')}`,
    );
  }
  const image = values[imageColumn];
  const name = typeof image === 'string' ? image : pathIn(image);
  const imageId = id ?? name;
  if (imageId === undefined) return unreadable('it has neither an id nor the name of a file');
  try {
    const bytes = bytesIn(image) ?? (await readFile(resolve(dirname(table), name!)));
    if (bytes.length > MAX_IMAGE_BYTES) return unreadable(`its image has ${bytes.length} bytes`);
    return { kind: 'image', id: imageId, bytes, ...found, source: `${source} (${imageId})`, weight };
  } catch (error) {
    return unreadable(`${String(name)}: ${explain(error)}`);
  }
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

/** The metadata and the names of what does not fit; or what is wrong with the column `metadata`. */
function metadataOf(
  values: Readonly<Record<string, unknown>>,
  used: readonly (string | undefined)[],
): { metadata: Metadata; leftOut: string[] } | string {
  if (!isGiven(values.metadata)) {
    const others = Object.entries(values).filter(
      ([name]) => name !== 'id' && name !== 'metadata' && !used.includes(name),
    );
    return pickMetadata(Object.fromEntries(others.map(([name, value]) => [name, plain(value)])));
  }
  const { metadata } = values;
  try {
    const fields: unknown = typeof metadata === 'string' ? JSON.parse(metadata) : metadata;
    if (typeof fields !== 'object' || fields === null || Array.isArray(fields))
      return 'its metadata is no object';
    return pickMetadata(
      Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value)])),
    );
  } catch {
    return 'its metadata is no JSON';
  }
}

/** Parquet has integers of 64 bits, times and typed arrays; JSON has not. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value))
    return value instanceof Uint8Array ? value : Array.from(value as Float32Array);
  return Array.isArray(value) ? value.map(plain) : value;
}

function toVector(value: unknown): Float32Array | undefined {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'base64');
    const isBase64 = bytes.length > 0 && bytes.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(value);
    return isBase64 ? new Float32Array(new Uint8Array(bytes).buffer) : undefined;
  }
  if (ArrayBuffer.isView(value) && !(value instanceof DataView))
    return Float32Array.from(value as Float32Array);
  const isNumbers =
    Array.isArray(value) && value.length > 0 && value.every((element) => typeof element === 'number');
  return isNumbers ? Float32Array.from(value) : undefined;
}

/** As libraries of data sets write images into Parquet: a struct of bytes and path. */
function bytesIn(image: unknown): Uint8Array | undefined {
  if (image instanceof Uint8Array) return image;
  if (typeof image !== 'object' || image === null) return undefined;
  const { bytes } = image as { bytes?: unknown };
  return bytes instanceof Uint8Array ? bytes : undefined;
}

function pathIn(image: unknown): string | undefined {
  if (typeof image !== 'object' || image === null) return undefined;
  const { path } = image as { path?: unknown };
  return typeof path === 'string' && path !== '' ? path : undefined;
}
