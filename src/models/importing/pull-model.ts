import { mkdir, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { formatBytes } from '../download/byte-size.js';
import type { CatalogEntry } from './catalog.js';
import { combineDigests } from './checkpoint-digest.js';
import { CheckpointError } from '../checkpoints/checkpoint-error.js';
import type { ModelDescription } from '../onnx/architecture-metadata.js';
import { Checksums } from '../download/checksums.js';
import { DownloadError } from '../download/download-error.js';
import { FileGetter, type GotFile } from '../download/file-getter.js';
import { HttpClient } from '../download/http-client.js';
import { getHubRepository, hubHeaders, type HubRepository } from '../download/hub-repository.js';
import type { Licence } from '../download/model-card.js';
import type { Origin } from '../download/origin.js';
import { checkNormalisation } from './hub-preprocessing.js';
import { importModel } from './import-model.js';
import type { InputSize } from './imported-manifest.js';
import type { InstallPlace } from './install.js';
import type { Manifest } from '../manifest.js';
import type { Precision } from '../onnx/graph-builder.js';
import { withProcessLock } from './process-lock.js';

/** What is pulled: a file that the catalogue knows, or a repository of the hub, which it may know too. */
export type PullTarget =
  | { readonly kind: 'published'; readonly entry: CatalogEntry }
  | { readonly kind: 'hub'; readonly repository: HubRepository; readonly entry: CatalogEntry | undefined };

export interface PullOptions {
  readonly place: InstallPlace;
  readonly origin: Origin;
  readonly precision: Precision;
  readonly size: Partial<InputSize>;
  readonly keepCheckpoint: boolean;
  /** Token for the hub, where its repository needs one. */
  readonly hubToken?: string;
  readonly signal?: AbortSignal;
  readonly on: {
    download(fileName: string, done: number, total: number | undefined): void;
    /** A line about a file that is here now. */
    downloaded(line: string): void;
    licence(licence: Licence): void;
    recognised(shape: ModelDescription): void;
    written(done: number, total: number): void;
    notice(text: string): void;
  };
}

/** The files of a model that are here, ready to be converted. */
interface LocalCheckpoint {
  /** What is opened: a file or a folder. */
  readonly path: string;
  readonly weights: readonly GotFile[];
  readonly licence: Licence;
}

/**
 * Downloads a published model, or goes on with an interrupted download, and installs it.
 *
 * @throws DownloadError, CheckpointError, ModelWriteError, InstallError; the signal's reason
 */
export async function pullModel(
  target: PullTarget,
  options: PullOptions,
): Promise<{ readonly folder: string; readonly manifest: Manifest }> {
  const { place, signal } = options;
  const id = target.kind === 'published' ? target.entry.name : hubId(target.repository);
  const downloads = join(place.modelsFolder, '.downloads');
  const folder = join(downloads, id);
  await mkdir(folder, { recursive: true });
  const busy = (pid: number) =>
    new DownloadError(
      `${id} is being pulled already, by process ${pid}. Wait for it; if there is no such pull, remove ${join(folder, '.lock')}.`,
    );
  const pulled = withProcessLock(join(folder, '.lock'), busy, async () => {
    const client = new HttpClient({ headersFor: (url) => hubHeaders(url, options.hubToken) });
    const checksums = new Checksums(join(place.modelsFolder, 'checksums.json'));
    const getter = new FileGetter({
      origin: options.origin,
      folder,
      checksums,
      client,
      signal,
      onProgress: (fileName, done, total) => options.on.download(fileName, done, total),
      onNotice: (text) => options.on.notice(text),
    });
    try {
      const local = await getCheckpoint(target, getter);
      for (const file of local.weights) options.on.downloaded(describeFile(file, checksums.path));
      options.on.licence(local.licence);
      const installed = await install(target, local, options).catch(async (error: unknown) => {
        // The first download of something that is no such model must not become what all others are held against.
        if (error instanceof CheckpointError) await getter.forgetFirst();
        throw error;
      });
      if (!options.keepCheckpoint) await rm(folder, { recursive: true, force: true });
      return installed;
    } finally {
      client.close();
    }
  });
  return pulled.finally(async () => {
    // Where nothing is kept and nothing else is under way.
    for (const empty of [folder, downloads]) await rmdir(empty).catch(() => {});
  });
}

function hubId({ owner, name }: HubRepository): string {
  return `${owner}--${name}`;
}

async function getCheckpoint(target: PullTarget, getter: FileGetter): Promise<LocalCheckpoint> {
  if (target.kind === 'published') {
    const { url, licence, licenceUrl } = target.entry;
    const file = await getter.get(url);
    return { path: file.path, weights: [file], licence: { name: licence, url: licenceUrl } };
  }
  const { repository } = target;
  const { folder, weights, licence } = await getHubRepository(repository, getter);
  await checkNormalisation(folder);
  const page = `https://huggingface.co/${repository.owner}/${repository.name}`;
  return {
    path: folder,
    weights,
    licence: { name: licence?.name ?? 'unknown', url: licence?.url ?? page },
  };
}

async function install(target: PullTarget, local: LocalCheckpoint, options: PullOptions) {
  const { entry } = target;
  const { place, precision, size, signal, on } = options;
  const { weights, licence } = local;
  const files = weights.map(({ path, sha256 }) => ({ name: basename(path), sha256 }));
  return importModel({
    path: local.path,
    place,
    precision,
    size,
    source: { from: weights[0]!.from, sha256: combineDigests(files) },
    description: entry && `${entry.title}, pretrained by its authors`,
    published: entry?.published,
    licence: licence.name,
    licenceUrl: licence.url,
    expected: entry?.expected,
    onRecognised: (shape) => on.recognised(shape),
    onProgress: (done, total) => on.written(done, total),
    signal,
  });
}

function describeFile({ path, bytes, sha256, from, isFirst }: GotFile, checksums: string): string {
  const held = isFirst ? `recorded in ${checksums}` : 'as at its first download';
  return `${basename(path)}: ${formatBytes(bytes)} from ${from}, SHA-256 ${sha256}, ${held}`;
}
