import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError, damaged, quote } from './checkpoint-error.js';
import type { Checkpoint, CheckpointValue } from './checkpoint.js';
import { flatten } from './flatten.js';
import { readJsonFile } from './json-file.js';
import { openCheckpointFile } from './open-file.js';
import { unreadable } from './random-access-file.js';
import type { LazyTensor } from './tensor.js';

/** Files of weights, the best first; an index lists the tensors of several files. */
const WEIGHTS = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
];

/**
 * A folder as the Hugging Face hub keeps a model: config.json and the weights, in one file or in several with an
 * index.
 *
 * @throws CheckpointError
 */
export async function openHuggingFaceFolder(folder: string): Promise<Checkpoint> {
  const names = await readdir(folder).catch((error: unknown) => {
    throw unreadable(folder, error);
  });
  const weights = WEIGHTS.find((name) => names.includes(name));
  if (weights === undefined || !names.includes('config.json')) {
    const missing = weights === undefined ? 'model.safetensors or pytorch_model.bin' : 'config.json';
    throw new CheckpointError(
      `The folder ${folder} has no ${missing}. Give a checkpoint file, or a folder with all files of the model.`,
    );
  }
  const values = await readConfig(join(folder, 'config.json'));
  const shards = new Shards(folder);
  try {
    const tensors = weights.endsWith('.index.json')
      ? await shards.openIndex(weights)
      : (await shards.open(weights)).tensors;
    return { format: 'huggingface', tensors, values, close: () => shards.close() };
  } catch (error) {
    await shards.close();
    throw error;
  }
}

async function readConfig(path: string): Promise<Map<string, CheckpointValue>> {
  const config = await readJsonFile(path);
  if (!(config instanceof Map)) throw damaged(path, 'it is not a JSON object');
  const open = (): never => {
    throw damaged(path, 'there are no tensors in JSON');
  };
  return flatten(new Map([['config', config]]), { where: path, open }).values;
}

/** The files of weights in a folder, each opened once. */
class Shards {
  readonly #folder: string;
  readonly #open = new Map<string, Checkpoint>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async open(name: string): Promise<Checkpoint> {
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const shard = await openCheckpointFile(join(this.#folder, name));
    this.#open.set(name, shard);
    return shard;
  }

  /** Takes each tensor from the file that the index names. */
  async openIndex(name: string): Promise<Map<string, LazyTensor>> {
    const path = join(this.#folder, name);
    const index = await readJsonFile(path);
    const weightMap: unknown = index instanceof Map ? index.get('weight_map') : undefined;
    if (!(weightMap instanceof Map)) throw damaged(path, 'it has no weight_map');
    const tensors = new Map<string, LazyTensor>();
    for (const [tensorName, shardName] of weightMap as Map<string, unknown>) {
      // The index comes from a stranger and may name files of this folder only.
      if (typeof shardName !== 'string' || !/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(shardName)) {
        throw new CheckpointError(
          `${path} names the file ${quote(String(shardName))}, which is not in its folder; it was not opened. ` +
            'Download the model again from where it is published.',
        );
      }
      const tensor = (await this.open(shardName)).tensors.get(tensorName);
      if (tensor === undefined) throw damaged(path, `the tensor ${quote(tensorName)} is not in ${shardName}`);
      tensors.set(tensorName, tensor);
    }
    return tensors;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map((shard) => shard.close()));
  }
}
