import {
  ApiError,
  collectionPath,
  isReadable,
  request,
  requestJson,
  UNREADABLE,
  type BatchResponse,
  type Metadata,
} from './api.js';

/** Small enough for the bar to move, large enough for the model's batches. */
const MAX_FILES = 8;
const MAX_BYTES = 16 * 1024 * 1024;
/** How often an overloaded server is asked again. */
const MAX_TRIES = 10;

export interface Photo {
  readonly file: File;
  readonly metadata: Metadata;
}

export interface UploadProgress {
  readonly done: number;
  /** Stored now. */
  readonly stored: number;
  /** The same was there already. */
  readonly unchanged: number;
  readonly failures: readonly { readonly name: string; readonly detail: string }[];
}

/** Creates the collection, or confirms it. @throws ApiError */
export async function createCollection(name: string, signal: AbortSignal): Promise<void> {
  await request(collectionPath(name), { method: 'PUT', signal });
}

/**
 * Stores photos in batches, one after another. A photo that the server refuses is named and the others go on.
 *
 * @throws ApiError where no photo can be stored: no such collection, no key, no server
 */
export async function uploadPhotos(parts: {
  collection: string;
  photos: readonly Photo[];
  signal: AbortSignal;
  onProgress: (progress: UploadProgress) => void;
}): Promise<void> {
  const { collection, photos, signal, onProgress } = parts;
  const counts = { stored: 0, unchanged: 0 };
  const failures: { name: string; detail: string }[] = [];
  let done = 0;
  const pending = inBatches(photos);
  while (pending.length > 0) {
    const batch = pending.shift()!;
    try {
      const { results } = await postBatch(collection, batch, signal);
      results.forEach(({ status, error }, index) => {
        if (status === 'failed')
          failures.push({ name: batch[index]!.file.name, detail: error?.detail ?? 'refused' });
        else counts[status === 'unchanged' ? 'unchanged' : 'stored'] += 1;
      });
    } catch (error) {
      if (!(error instanceof ApiError) || ![0, 400, 413, 415, 422].includes(error.status)) throw error;
      if (batch.length > 1) {
        // One of them spoils it for all: each by itself.
        pending.unshift(...batch.map((photo) => [photo]));
        continue;
      }
      const { file } = batch[0]!;
      if (error.status === 0 && (await isReadable(file))) throw error;
      failures.push({ name: file.name, detail: error.status === 0 ? UNREADABLE : error.message });
    }
    done += batch.length;
    onProgress({ done, ...counts, failures });
  }
}

function inBatches(photos: readonly Photo[]): Photo[][] {
  const batches: Photo[][] = [];
  let bytes = Infinity;
  for (const photo of photos) {
    bytes += photo.file.size;
    if (bytes > MAX_BYTES || batches.at(-1)!.length === MAX_FILES) {
      batches.push([]);
      bytes = photo.file.size;
    }
    batches.at(-1)!.push(photo);
  }
  return batches;
}

async function postBatch(
  collection: string,
  batch: readonly Photo[],
  signal: AbortSignal,
): Promise<BatchResponse> {
  const form = new FormData();
  form.append('items', JSON.stringify(batch.map(({ metadata }) => ({ metadata }))));
  for (const { file } of batch) form.append('images', file);
  for (let tries = 1; ; tries++) {
    try {
      return await requestJson(`${collectionPath(collection)}/images`, {
        method: 'POST',
        body: form,
        signal,
      });
    } catch (error) {
      const isBusy = error instanceof ApiError && [429, 503].includes(error.status);
      if (!isBusy || tries === MAX_TRIES) throw error;
      await pause((error.retryAfterSeconds ?? 1) * 1000, signal);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(new DOMException('The upload was stopped.', 'AbortError'));
    });
  });
}
