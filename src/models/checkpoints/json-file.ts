import { damaged } from './checkpoint-error.js';
import { RandomAccessFile } from './random-access-file.js';

/** Configurations and indices have some hundred kilobytes at most. */
const MAX_JSON_BYTES = 10 * 2 ** 20;

/**
 * Reads a small JSON file; its objects become Maps.
 *
 * @throws CheckpointError when it is not there, too large or not JSON
 */
export async function readJsonFile(path: string): Promise<unknown> {
  const file = await RandomAccessFile.open(path);
  try {
    if (file.size > MAX_JSON_BYTES) throw damaged(path, `it has ${file.size} bytes`);
    const bytes = await file.read(0, file.size);
    try {
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes), objectsToMaps);
    } catch (error) {
      throw damaged(path, 'it is not JSON', error);
    }
  } finally {
    await file.close();
  }
}

function objectsToMaps(_key: string, value: unknown): unknown {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? new Map(Object.entries(value)) : value;
}
