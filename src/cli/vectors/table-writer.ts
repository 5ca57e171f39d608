import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { extname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileWriter, parquetWriteRows } from 'hyparquet-writer';
import type { StoredImage } from '../../client/resources.js';
import { NpyWriter } from './npy.js';

/** An image as it is exported. */
export interface ExportedImage {
  readonly image: StoredImage;
  /** Unit length. */
  readonly vector: Float32Array;
}

export interface TableToWrite {
  readonly path: string;
  /** Length of the vectors. */
  readonly dimension: number;
  readonly rows: AsyncIterable<ExportedImage>;
}

/** Rows of a Parquet file that are encoded at a time, and rows of a matrix that are written at a time. */
const GROUP = 4096;

const WRITERS: Readonly<Record<string, (table: TableToWrite) => Promise<string[]>>> = {
  '.parquet': writeParquet,
  '.ndjson': writeNdjson,
  '.jsonl': writeNdjson,
  '.npy': writeNpy,
};

/** The extensions of the tables that can be written. */
export const TABLE_EXTENSIONS: readonly string[] = Object.keys(WRITERS);

/**
 * Writes images with their vectors as a table, of the kind that the path's extension says: `.parquet`, `.ndjson` (vectors as
 * base64 of little-endian float32), or `.npy` (a float32 matrix) with `.ndjson` beside it for ids and metadata.
 * Each file is written beside its place and renamed when it is whole. Memory is bounded by a few thousand rows.
 *
 * @returns the files that were written
 */
export async function writeTable(table: TableToWrite): Promise<string[]> {
  return WRITERS[extname(table.path).toLowerCase()]!(table);
}

async function writeParquet({ path, rows }: TableToWrite): Promise<string[]> {
  return whole([path], async ([part]) => {
    const columns = Object.keys(COLUMNS).map((name) => (name === 'vector' ? VECTOR_COLUMN : { name }));
    const writer = fileWriter(part!);
    await parquetWriteRows({ writer, rows: parquetRows(rows), columns, schema: SCHEMA, rowGroupSize: GROUP });
  });
}

async function* parquetRows(
  rows: AsyncIterable<ExportedImage>,
): AsyncGenerator<Record<string, unknown>, void> {
  for await (const { image, vector } of rows) {
    yield { ...image, bytes: BigInt(image.bytes), vector: Array.from(vector) };
  }
}

async function writeNdjson({ path, rows }: TableToWrite): Promise<string[]> {
  return whole([path], ([part]) =>
    writeLines(part!, rows, ({ image, vector }) => ({ ...image, vector: base64(vector) })),
  );
}

async function writeNpy({ path, dimension, rows }: TableToWrite): Promise<string[]> {
  const beside = `${path.slice(0, -extname(path).length)}.ndjson`;
  return whole([path, beside], async ([matrixPart, linesPart]) => {
    const matrix = await NpyWriter.create(matrixPart!, dimension);
    try {
      await writeLines(linesPart!, toMatrix(rows, matrix), ({ image }) => image);
    } finally {
      await matrix.close();
    }
  });
}

/** Passes the rows on, and puts their vectors into the matrix. */
async function* toMatrix(
  rows: AsyncIterable<ExportedImage>,
  matrix: NpyWriter,
): AsyncGenerator<ExportedImage, void> {
  let block: Float32Array[] = [];
  for await (const row of rows) {
    block.push(row.vector);
    if (block.length === GROUP) {
      await matrix.write(block);
      block = [];
    }
    yield row;
  }
  await matrix.write(block);
}

async function writeLines(
  path: string,
  rows: AsyncIterable<ExportedImage>,
  toLine: (row: ExportedImage) => object,
): Promise<void> {
  const lines = Readable.from(rows).map((row: ExportedImage) => `${JSON.stringify(toLine(row))}\n`);
  await pipeline(lines, createWriteStream(path, { flush: true }));
}

function base64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}

/** Files appear under their names when all of them are whole, or not at all. */
async function whole(paths: string[], write: (parts: string[]) => Promise<void>): Promise<string[]> {
  const parts = paths.map((path) => `${path}.part`);
  try {
    await write(parts);
    for (const [i, part] of parts.entries()) await rename(part, paths[i]!);
    return paths;
  } finally {
    for (const part of parts) await rm(part, { force: true });
  }
}

type SchemaElement = NonNullable<Parameters<typeof parquetWriteRows>[0]['schema']>[number];

const TEXT = { type: 'BYTE_ARRAY', converted_type: 'UTF8' } as const;

/** Vectors neither repeat nor compress, and nobody asks for their least number. */
const VECTOR_COLUMN: Parameters<typeof parquetWriteRows>[0]['columns'][number] = {
  name: 'vector',
  encoding: 'PLAIN',
  codec: 'UNCOMPRESSED',
  statistics: false,
};

/** Columns in order; names are those of the API. */
const COLUMNS: Readonly<Record<string, readonly Omit<SchemaElement, 'repetition_type'>[]>> = {
  id: [{ name: 'id', ...TEXT }],
  vector: [
    { name: 'vector', converted_type: 'LIST', num_children: 1 },
    { name: 'list', num_children: 1 },
    { name: 'element', type: 'FLOAT' },
  ],
  metadata: [{ name: 'metadata', type: 'BYTE_ARRAY', converted_type: 'JSON' }],
  contentHash: [{ name: 'contentHash', ...TEXT }],
  mediaType: [{ name: 'mediaType', ...TEXT }],
  width: [{ name: 'width', type: 'INT32' }],
  height: [{ name: 'height', type: 'INT32' }],
  bytes: [{ name: 'bytes', type: 'INT64' }],
  createdAt: [{ name: 'createdAt', ...TEXT }],
  updatedAt: [{ name: 'updatedAt', ...TEXT }],
};

const SCHEMA: SchemaElement[] = [
  { name: 'root', num_children: Object.keys(COLUMNS).length },
  ...Object.values(COLUMNS)
    .flat()
    .map((element) => ({
      ...element,
      repetition_type: element.name === 'list' ? ('REPEATED' as const) : ('REQUIRED' as const),
    })),
];
