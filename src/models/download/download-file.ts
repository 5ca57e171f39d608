import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatBytes } from './byte-size.js';
import { explainDiskError, lackOfSpace } from './disk-error.js';
import { DownloadError, TransientError } from './download-error.js';
import { explainStatus, isTransient, retryAfterMs } from './http-status.js';
import type { HttpClient, HttpResponse } from './http-client.js';
import { PartialFile, type Validators } from './partial-file.js';

export interface DownloadOptions {
  readonly url: string;
  /** Path of the file; its folder is there. */
  readonly target: string;
  readonly client: HttpClient;
  readonly signal?: AbortSignal;
  /** Bytes that are on the disk by now, and of how many. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
  /** A sentence for whom it may concern: a broken connection, a new beginning. */
  readonly onNotice?: (text: string) => void;
  /** Attempts in a row that bring nothing new before it is given up; default 5. */
  readonly attempts?: number;
  /** Wait before the first repeated attempt, doubled for each further one; default 500 ms. */
  readonly firstDelayMs?: number;
}

export interface Downloaded {
  readonly bytes: number;
  readonly etag?: string;
  readonly lastModified?: string;
  /** The answer that the last attempt began with. */
  readonly response: Pick<HttpResponse, 'headers' | 'redirects'>;
}

/**
 * Brings a file here, going on from what an earlier run or a broken connection has left. It is written as
 * `<target>.part` and renamed when it is whole; whatever ends the download before leaves the part for the next run.
 *
 * @throws DownloadError when it can't be had
 * @throws the signal's reason
 */
export async function downloadFile(options: DownloadOptions): Promise<Downloaded> {
  const { url, attempts = 5, firstDelayMs = 500, signal } = options;
  const part = new PartialFile(options.target);
  let fruitless = 0;
  for (;;) {
    const before = (await part.state())?.bytes ?? 0;
    try {
      return await attempt(part, options);
    } catch (error) {
      if (!(error instanceof TransientError)) throw explain(error, part.path);
      const kept = (await part.state())?.bytes ?? 0;
      fruitless = kept > before ? 1 : fruitless + 1;
      if (fruitless >= attempts) {
        const rest =
          kept > 0
            ? `${formatBytes(kept)} are kept: the same command goes on from there.`
            : 'Behind a proxy set HTTPS_PROXY; without a network, take the files from a folder with --from.';
        throw new DownloadError(
          `${url} can't be downloaded: ${error.message}, ${attempts} times in a row. ${rest}`,
          {
            cause: error,
          },
        );
      }
      const delay = Math.min(error.retryAfterMs ?? firstDelayMs * 2 ** (fruitless - 1), 60_000);
      options.onNotice?.(`${error.message}; trying again in ${Math.ceil(delay / 1000)} s`);
      await sleep(delay, undefined, { signal }).catch(() => {});
      signal?.throwIfAborted();
    }
  }
}

async function attempt(part: PartialFile, options: DownloadOptions): Promise<Downloaded> {
  const { client, url, signal } = options;
  const begun = await part.state();
  const range = begun?.validators.url === url ? rangeHeaders(begun.bytes, begun.validators) : undefined;
  const response = await client.get(url, { headers: range, signal });
  if (range !== undefined && begun !== undefined) {
    if (response.status === 206 && continues(response, begun)) {
      return receive(part, { response, from: begun.bytes, validators: begun.validators }, options);
    }
    if (response.status === 416 && endsThere(response, begun)) {
      response.discard();
      await part.complete();
      const { etag, lastModified } = begun.validators;
      return { bytes: begun.bytes, etag, lastModified, response };
    }
    if (response.status !== 200) {
      // Another range than the one asked for, or none: what is there doesn't belong to the file of today.
      response.discard();
      if (response.status !== 206 && response.status !== 416) throw failure(response, url);
      await part.discard();
      options.onNotice?.('what is there does not fit the file on the server: starting again');
      return attempt(part, options);
    }
    options.onNotice?.('the server can not go on in the middle, or has another file by now: starting again');
  }
  if (response.status !== 200) {
    response.discard();
    throw failure(response, url);
  }
  return receive(part, { response, from: 0, validators: validatorsOf(url, response) }, options);
}

/** A weak ETag, or none and no date, can't tell that the rest belongs to the beginning: then it starts again. */
function rangeHeaders(bytes: number, { etag, lastModified }: Validators): Record<string, string> | undefined {
  const validator = etag !== undefined && !etag.startsWith('W/') ? etag : lastModified;
  return validator === undefined ? undefined : { range: `bytes=${bytes}-`, 'if-range': validator };
}

function continues(
  { headers }: HttpResponse,
  { bytes, validators }: { bytes: number; validators: Validators },
): boolean {
  const range = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
  if (range === null || Number(range[1]) !== bytes) return false;
  const total = range[3] === '*' ? undefined : Number(range[3]);
  if (total !== undefined && validators.totalBytes !== undefined && total !== validators.totalBytes)
    return false;
  return hasSameEtag(headers, validators);
}

/** Whether a range is refused since nothing is missing: the last run was killed just before it renamed the file. */
function endsThere(
  { headers }: HttpResponse,
  { bytes, validators }: { bytes: number; validators: Validators },
): boolean {
  return headers.get('content-range') === `bytes */${bytes}` && hasSameEtag(headers, validators);
}

/** Not every server knows If-Range. */
function hasSameEtag(headers: HttpResponse['headers'], validators: Validators): boolean {
  const etag = headers.get('etag');
  return etag === undefined || validators.etag === undefined || etag === validators.etag;
}

function validatorsOf(url: string, { headers }: HttpResponse): Validators {
  const length = headers.get('content-length');
  return {
    url,
    etag: headers.get('etag'),
    lastModified: headers.get('last-modified'),
    totalBytes: length === undefined ? undefined : Number(length),
  };
}

function failure(response: HttpResponse, url: string): Error {
  const message = explainStatus(response, url);
  return isTransient(response.status)
    ? new TransientError(message, { retryAfterMs: retryAfterMs(response) })
    : new DownloadError(message, { status: response.status });
}

async function receive(
  part: PartialFile,
  { response, from, validators }: { response: HttpResponse; from: number; validators: Validators },
  { url, onProgress }: DownloadOptions,
): Promise<Downloaded> {
  const encoding = response.headers.get('content-encoding');
  if (encoding !== undefined && encoding !== 'identity') {
    response.discard();
    throw new DownloadError(`${url} is sent compressed (${encoding}) though it was asked for as it is.`);
  }
  const total = validators.totalBytes;
  const lack = total === undefined ? undefined : await lackOfSpace(part.path, total - from);
  if (lack !== undefined) {
    response.discard();
    throw new DownloadError(lack);
  }
  const handle = from === 0 ? await part.begin(validators) : await part.continue();
  let done = from;
  try {
    onProgress?.(done, total);
    for await (const chunk of response.body) {
      await writeAll(handle, chunk);
      done += chunk.length;
      onProgress?.(done, total);
    }
  } finally {
    await handle.close();
  }
  if (total !== undefined && done < total) {
    throw new TransientError(
      `${new URL(url).host}: the answer ended at ${formatBytes(done)} of ${formatBytes(total)}`,
    );
  }
  if (total !== undefined && done > total) {
    await part.discard();
    throw new DownloadError(`${url} sends more than the ${formatBytes(total)} that it announced.`);
  }
  await part.complete();
  const { etag, lastModified } = validators;
  return { bytes: done, etag, lastModified, response };
}

async function writeAll(handle: FileHandle, chunk: Buffer): Promise<void> {
  for (let offset = 0; offset < chunk.length;) {
    offset += (await handle.write(chunk, offset)).bytesWritten;
  }
}

/** What is written so far stays: freeing space and running the command again goes on from there. */
function explain(error: unknown, path: string): unknown {
  const message = explainDiskError(error, path);
  return message === undefined ? error : new DownloadError(message, { cause: error });
}
