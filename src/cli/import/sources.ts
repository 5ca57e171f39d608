import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname } from 'node:path';
import { usageError } from '../command-error.js';
import { explain, findImageFiles, type FoundFiles, type ImageFile } from '../image-files.js';
import { MAX_IMAGE_BYTES, type ImportEntry } from './import-entry.js';
import { expandPatterns } from './patterns.js';
import { isShard, readShard } from './shard-reader.js';
import { isTable, readTable, type TableOptions } from './table-reader.js';

export interface ImportSources {
  /** Bytes of everything there is to read: the sum of the entries' weights, nearly. */
  readonly totalWeight: number;
  /** Reads one thing after the other, as they are asked for. */
  entries(): AsyncGenerator<ImportEntry, void>;
}

export interface SourceOptions extends TableOptions {
  /** Metadata field of the class. */
  readonly labelField: string;
}

/**
 * Looks at what is to be imported: shards and tables by their names, folders and files, and patterns of them.
 *
 * @throws CommandError (2) for a path that is not there, or a pattern that nothing matches
 */
export async function openSources(given: readonly string[], options: SourceOptions): Promise<ImportSources> {
  const paths = await expandPatterns(given);
  const streams = paths.filter((path) => isShard(path) || isTable(path));
  const sizes = await Promise.all(streams.map(sizeOf));
  const files = await findImageFiles(paths.filter((path) => !streams.includes(path)));
  const weights = [...sizes, ...files.images.map(({ size }) => size)];
  return {
    totalWeight: weights.reduce((sum, size) => sum + size, 0),
    async *entries() {
      yield* readFiles(files, options.labelField);
      for (const path of streams) {
        yield* isShard(path) ? readShard(path, options.labelField) : readTable(path, options);
      }
    },
  };
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (cause) {
    throw usageError(`${path}: ${explain(cause)}`, cause);
  }
}

async function* readFiles(
  { images, others }: FoundFiles,
  labelField: string,
): AsyncGenerator<ImportEntry, void> {
  for (const name of others)
    yield { kind: 'other', source: name, extension: extname(name).slice(1), weight: 0 };
  for (const file of images) yield await readImage(file, labelField);
}

async function readImage({ path, name, size }: ImageFile, labelField: string): Promise<ImportEntry> {
  if (size > MAX_IMAGE_BYTES)
    return { kind: 'unreadable', source: path, reason: `it has ${size} bytes`, weight: size };
  try {
    const bytes = await readFile(path);
    const folder = dirname(name);
    const metadata = folder === '.' ? {} : { [labelField]: basename(folder) };
    return { kind: 'image', id: name, source: path, bytes, metadata, weight: size };
  } catch (error) {
    return { kind: 'unreadable', source: path, reason: explain(error), weight: size };
  }
}
