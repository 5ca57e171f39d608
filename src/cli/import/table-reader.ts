import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { parse } from 'csv-parse';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { CommandError } from '../command-error.js';
import { explain } from '../image-files.js';
import { readNpyHeader, readNpyRows } from '../vectors/npy.js';
import type { ImportEntry } from './import-entry.js';
import { toEntry, type TableRow } from './table-row.js';

/** Rows of a Parquet file in memory at a time. */
const PARQUET_ROWS = 2048;

type Rows = (path: string, options: TableOptions) => AsyncGenerator<TableRow, void>;

export interface TableOptions {
  /** Columns of a CSV file that are texts whatever they look like. */
  readonly textColumns: readonly string[];
}

const READERS: Readonly<Record<string, Rows>> = {
  '.csv': (path, options) => readCsv(path, ',', options),
  '.tsv': (path, options) => readCsv(path, '\t', options),
  '.ndjson': readNdjson,
  '.jsonl': readNdjson,
  '.npy': readNpy,
  '.parquet': readParquet,
};

/** Whether a path is that of a table of images or vectors. */
export function isTable(path: string): boolean {
  return extname(path).toLowerCase() in READERS;
}

/**
 * Reads a table of images or vectors row by row; `table-row.ts` says what a row means. Of a `.npy` file the ids and
 * metadata are in the `.ndjson` (or `.jsonl`) file beside it, a line per row.
 *
 * A table that is damaged gives what can be read, and then one unreadable entry for the rest.
 */
export async function* readTable(path: string, options: TableOptions): AsyncGenerator<ImportEntry, void> {
  try {
    for await (const row of READERS[extname(path).toLowerCase()]!(path, options))
      yield await toEntry(row, path);
  } catch (error) {
    const reason =
      error instanceof CommandError ? error.message : `${path} can't be read to its end: ${explain(error)}`;
    yield { kind: 'unreadable', source: path, reason, weight: 0 };
  }
}

async function* readCsv(
  path: string,
  delimiter: string,
  { textColumns }: TableOptions,
): AsyncGenerator<TableRow, void> {
  const parser = createReadStream(path).pipe(
    parse({ columns: true, bom: true, delimiter, skip_empty_lines: true, info: true }),
  );
  let read = 0;
  for await (const item of parser) {
    const { record, info } = item as {
      record: Record<string, string>;
      info: { lines: number; bytes: number };
    };
    const values = Object.fromEntries(
      Object.entries(record).map(([name, text]) => [
        name,
        textColumns.includes(name) ? text : typed(name, text),
      ]),
    );
    yield { values, source: `${path}:${info.lines}`, weight: info.bytes - read };
    read = info.bytes;
  }
}

/** CSV knows texts only: what reads as JSON writes numbers and booleans is one, so `2020` is a number and `007` a text. */
function typed(name: string, text: string): unknown {
  if (name === 'id' || text === '') return text === '' ? null : text;
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  if (String(number) === text && Number.isFinite(number)) return number;
  return name !== 'metadata' && text.startsWith('[') ? (list(text) ?? text) : text;
}

function list(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function* readNdjson(path: string): AsyncGenerator<TableRow, void> {
  let number = 0;
  for await (const line of linesOf(path)) {
    number += 1;
    if (line.trim() === '') continue;
    const source = `${path}:${number}`;
    yield { values: object(line, source), source, weight: Buffer.byteLength(line) + 1 };
  }
}

async function* linesOf(path: string): AsyncGenerator<string, void> {
  const input = createReadStream(path);
  try {
    // An error of the stream would not reach the loop over the lines.
    const failed = new Promise<never>((_, reject) => input.once('error', reject));
    const lines = createInterface({ input, crlfDelay: Infinity })[Symbol.asyncIterator]();
    for (;;) {
      const next = await Promise.race([lines.next(), failed]);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    input.destroy();
  }
}

function object(line: string, source: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new CommandError(`${source} is no JSON object; what comes after it is not read`);
}

async function* readNpy(path: string): AsyncGenerator<TableRow, void> {
  const header = await readNpyHeader(path);
  const beside = await besideOf(path);
  const weight = (await stat(path)).size / Math.max(header.rows, 1);
  const rows = readNpyRows(path, header);
  let row = 0;
  try {
    for await (const { values, source } of readNdjson(beside)) {
      const next = await rows.next();
      if (next.done === true)
        throw new CommandError(`${beside} has more lines than ${path} has rows (${header.rows})`);
      row += 1;
      yield { values: { ...values, vector: next.value }, source, weight };
    }
  } finally {
    // A generator that is not run to its end keeps its file open.
    await rows.return();
  }
  if (row < header.rows)
    throw new CommandError(`${beside} has ${row} lines, but ${path} has ${header.rows} rows`);
}

async function besideOf(path: string): Promise<string> {
  const stem = path.slice(0, -'.npy'.length);
  for (const beside of [`${stem}.ndjson`, `${stem}.jsonl`]) {
    if (await stat(beside).catch(() => undefined)) return beside;
  }
  throw new CommandError(
    `${path} has no ${stem}.ndjson beside it, with a line {"id": ..., "metadata": {...}} per row`,
  );
}

async function* readParquet(path: string): AsyncGenerator<TableRow, void> {
  // Made of WebAssembly, and loaded for these files only.
  const { compressors } = await import('hyparquet-compressors');
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  const rows = Number(metadata.num_rows);
  const weight = file.byteLength / Math.max(rows, 1);
  for (let start = 0; start < rows; start += PARQUET_ROWS) {
    const rowEnd = Math.min(start + PARQUET_ROWS, rows);
    // Binary columns stay bytes.
    const block = await parquetReadObjects({
      file,
      metadata,
      compressors,
      rowStart: start,
      rowEnd,
      utf8: false,
    });
    for (const [i, values] of block.entries()) {
      yield { values, source: `${path}, row ${start + i + 1}`, weight };
    }
  }
}
