import { rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { sha256OfFile } from '../file-hash.js';
import type { Checksums } from './checksums.js';
import { DownloadError } from './download-error.js';
import { downloadFile, type Downloaded } from './download-file.js';
import type { HttpClient } from './http-client.js';
import { inFolder, onMirror, type Origin } from './origin.js';

export interface FileGetterOptions {
  readonly origin: Origin;
  /** Where downloads are put. */
  readonly folder: string;
  readonly checksums: Checksums;
  readonly client: HttpClient;
  readonly signal?: AbortSignal;
  readonly onProgress?: (fileName: string, done: number, total: number | undefined) => void;
  readonly onNotice?: (text: string) => void;
}

export interface GotFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** The URL or the path it was taken from. */
  readonly from: string;
  /** Whether its SHA-256 was recorded just now, so that there was nothing to hold it against. */
  readonly isFirst: boolean;
  /** The revision of the hub's repository, where the hub says it. */
  readonly commit?: string;
}

export interface GetOptions {
  /** Where to ask for it, when that is not where its checksum is kept: an address with a fixed revision. */
  readonly at?: string;
  /** Whether a copy from an earlier run will do; default true. */
  readonly reuse?: boolean;
  /** Whether its checksum is kept; default true. Not of texts that are for people and change freely. */
  readonly record?: boolean;
}

/** Gets published files from where the user said, and holds each against its first download. */
export class FileGetter {
  readonly #options: FileGetterOptions;

  constructor(options: FileGetterOptions) {
    this.#options = options;
  }

  /** @throws DownloadError when it can't be had or is another file than at its first download */
  async get(url: string, options: GetOptions = {}): Promise<GotFile> {
    const { origin } = this.#options;
    return origin.kind === 'folder'
      ? this.#fromFolder(origin.path, url, options)
      : this.#download(url, options);
  }

  /** As `get`; undefined where there is no such file. */
  async find(url: string, options: GetOptions = {}): Promise<GotFile | undefined> {
    try {
      return await this.get(url, options);
    } catch (error) {
      if (error instanceof DownloadError && error.status === 404) return undefined;
      throw error;
    }
  }

  async #fromFolder(folder: string, url: string, options: GetOptions): Promise<GotFile> {
    for (const path of inFolder(folder, url, fileNameOf(url))) {
      const found = await stat(path).catch(() => undefined);
      if (found?.isFile() !== true) continue;
      return this.#check(url, { path, bytes: found.size, from: path }, options);
    }
    const { pathname } = new URL(url);
    throw new DownloadError(
      `${folder} has no ${fileNameOf(url)}. Put the file of ${url} there, under its name or as ${pathname.slice(1)}.`,
      { status: 404 },
    );
  }

  async #download(url: string, options: GetOptions): Promise<GotFile> {
    const { origin, folder, client, signal, onProgress, onNotice, checksums } = this.#options;
    const fileName = fileNameOf(url);
    const path = join(folder, fileName);
    const source = options.at ?? url;
    const from = origin.kind === 'mirror' ? onMirror(origin.base, source) : source;
    const kept = options.reuse === false ? undefined : await stat(path).catch(() => undefined);
    if (kept !== undefined) {
      // Only what is known to be right is taken without asking for it again.
      const known = await checksums.find(url);
      const sha256 = await sha256OfFile(path, { signal });
      if (known?.sha256 === sha256)
        return { path, bytes: kept.size, sha256, from: known.from ?? url, isFirst: false };
    }
    const downloaded = await downloadFile({
      url: from,
      target: path,
      client,
      signal,
      onNotice,
      onProgress: (done, total) => onProgress?.(fileName, done, total),
    });
    try {
      const { bytes, etag, lastModified } = downloaded;
      const got = await this.#check(
        url,
        { path, bytes, from, etag, lastModified, hub: hubSha256(downloaded) },
        options,
      );
      return { ...got, commit: commitOf(downloaded) };
    } catch (error) {
      if (error instanceof DownloadError) await rm(path, { force: true });
      throw error;
    }
  }

  async #check(
    url: string,
    file: { path: string; bytes: number; from: string; etag?: string; lastModified?: string; hub?: string },
    { record = true }: GetOptions,
  ): Promise<GotFile> {
    const { path, bytes, from, etag, lastModified, hub } = file;
    const sha256 = await sha256OfFile(path, { signal: this.#options.signal });
    if (hub !== undefined && hub !== sha256) {
      throw new DownloadError(
        `${from} did not arrive as the hub has it: its SHA-256 is ${sha256}, not ${hub}. Run the same command again.`,
      );
    }
    const isFirst =
      record &&
      (await this.#options.checksums.check(url, {
        sha256,
        bytes,
        from: from === url ? undefined : from,
        etag,
        lastModified,
      }));
    return { path, bytes, sha256, from, isFirst };
  }
}

function fileNameOf(url: string): string {
  return decodeURIComponent(basename(new URL(url).pathname));
}

/** The hub names large files by their SHA-256, in an answer on the way to them. */
function hubSha256({ response }: Downloaded): string | undefined {
  return firstMatch(response, 'x-linked-etag', /^"?([0-9a-f]{64})"?$/);
}

function commitOf({ response }: Downloaded): string | undefined {
  return firstMatch(response, 'x-repo-commit', /^([0-9a-f]{40})$/);
}

function firstMatch(
  { headers, redirects }: Downloaded['response'],
  name: string,
  form: RegExp,
): string | undefined {
  for (const answer of [...redirects, headers]) {
    const match = form.exec(answer.get(name) ?? '');
    if (match !== null) return match[1];
  }
  return undefined;
}
