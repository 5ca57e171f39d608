import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { DownloadError } from './download-error.js';
import type { FileGetter, GotFile } from './file-getter.js';
import { readLicence, type Licence } from './model-card.js';

const HUB = 'https://huggingface.co/';

/** A repository of the Hugging Face hub, e.g. `facebook/dino-vits16` or `facebook/dino-vits16@main`. */
export interface HubRepository {
  readonly owner: string;
  readonly name: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

/** @returns undefined when it is no repository's name */
export function parseHubRepository(text: string): HubRepository | undefined {
  const match = /^([\w-][\w.-]*)\/([\w-][\w.-]*)(?:@([\w-][\w./-]*))?$/.exec(text);
  if (match === null || match[3]?.includes('..') === true) return undefined;
  return { owner: match[1]!, name: match[2]!, revision: match[3] ?? 'main' };
}

/** The headers for an address: the hub's token for the hub itself over TLS, for no mirror and no host it leads to. */
export function hubHeaders(url: URL, token: string | undefined): Record<string, string> {
  const isHub = url.protocol === 'https:' && url.host === new URL(HUB).host;
  return isHub && token !== undefined && token !== '' ? { authorization: `Bearer ${token}` } : {};
}

export interface HubCheckpoint {
  /** Folder with config.json and the weights. */
  readonly folder: string;
  readonly weights: readonly GotFile[];
  readonly licence: Licence | undefined;
}

/**
 * Gets the files of a repository that the weights are made of: config.json, and model.safetensors, else its index
 * with the shards, else pytorch_model.bin.
 *
 * @throws DownloadError
 */
export async function getHubRepository(
  repository: HubRepository,
  getter: FileGetter,
): Promise<HubCheckpoint> {
  const address = (file: string, revision = repository.revision) =>
    `${HUB}${repository.owner}/${repository.name}/resolve/${encodeURIComponent(revision)}/${file}`;
  const config = await getter.get(address('config.json'), { reuse: false });
  // All files of one revision, even when the branch moves on meanwhile.
  const find = (file: string, record = true) =>
    getter.find(address(file), { at: address(file, config.commit), record });
  const weights = await findWeights(find);
  if (weights === undefined) {
    throw new DownloadError(
      `${repository.owner}/${repository.name} has neither model.safetensors nor pytorch_model.bin, so it has no weights that can be imported.`,
    );
  }
  const card = await find('README.md', false);
  return {
    folder: dirname(config.path),
    weights,
    licence: card === undefined ? undefined : readLicence(await readFile(card.path, 'utf8')),
  };
}

async function findWeights(
  find: (file: string) => Promise<GotFile | undefined>,
): Promise<readonly GotFile[] | undefined> {
  const whole = await find('model.safetensors');
  if (whole !== undefined) return [whole];
  const index = await find('model.safetensors.index.json');
  if (index !== undefined) {
    const shards: GotFile[] = [];
    for (const name of await shardNames(index.path)) {
      const shard = await find(name);
      if (shard === undefined) throw new DownloadError(`${index.from} names ${name}, which is not there.`);
      shards.push(shard);
    }
    return shards;
  }
  const pickle = await find('pytorch_model.bin');
  return pickle === undefined ? undefined : [pickle];
}

/** @throws DownloadError for an index that names anything but files beside it */
async function shardNames(path: string): Promise<string[]> {
  let names: unknown[];
  try {
    const { weight_map: map } = JSON.parse(await readFile(path, 'utf8')) as {
      weight_map: Record<string, unknown>;
    };
    names = [...new Set(Object.values(map))];
  } catch (cause) {
    throw new DownloadError(`${path} is no index of a safetensors file.`, { cause });
  }
  const wrong = names.find(
    (name) => typeof name !== 'string' || basename(name) !== name || !/^\w[\w.-]*$/.test(name),
  );
  if (names.length === 0 || wrong !== undefined) {
    throw new DownloadError(
      `${path} names ${JSON.stringify(wrong ?? null)} as a part of the weights; refused.`,
    );
  }
  return (names as string[]).sort();
}
