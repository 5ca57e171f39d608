import { Readable } from 'node:stream';
import { DinoClientError } from '../../client/dino-client-error.js';
import type { DinoClient } from '../../client/dino-client.js';
import type { BatchResult, ObjectSetting } from '../../client/resources.js';
import type { FoundImage, FoundItem, FoundVector, ImportEntry } from './import-entry.js';
import type { ImportTally } from './import-tally.js';

export interface ImportOptions {
  readonly client: DinoClient;
  /** Name of a collection that is there. */
  readonly collection: string;
  /** Metadata field of the labels. */
  readonly labelField: string;
  /** Images or vectors per request at most; default 16 images, 512 vectors. */
  readonly batchSize: number | undefined;
  /** How objects are found; undefined: they are not looked for. */
  readonly objects: ObjectSetting | undefined;
  /** What becomes of an image whose content the collection has under another id. */
  readonly onDuplicate: 'keep' | 'skip';
  /** Requests at a time. */
  readonly concurrency: number;
  /** Counted up while the import goes on, so that what was done is known where it fails midway. */
  readonly tally: ImportTally;
  /** Called whenever some more is done. */
  readonly onProgress: (images: number, weight: number) => void;
}

/** A batch is sent as soon as it has so many bytes; half of what a server takes by default. */
const MAX_BATCH_BYTES = 32 * 1024 * 1024;

const DEFAULT_BATCH: Readonly<Record<FoundItem['kind'], number>> = { image: 16, vector: 512 };

/** Answers that are about what was sent and not about the collection or the server. */
const BATCH_AT_FAULT = new Set([400, 413, 415, 422]);

/**
 * Stores what the entries hold, in batches, a few at a time: memory is bounded by the batches under way. Entries
 * that can't be stored are counted and named in the tally; the others go on.
 *
 * @throws DinoClientError when the server is gone or refuses the import as a whole; what was acknowledged stays
 */
export async function importEntries(
  entries: AsyncIterable<ImportEntry>,
  options: ImportOptions,
): Promise<void> {
  const { concurrency, tally, labelField } = options;
  const send = async (batch: FoundItem[]) => ({ batch, results: await putBatch(options, batch) });
  const sent = Readable.from(batches(entries, options)).map(send, { concurrency });
  for await (const { batch, results } of sent as AsyncIterable<Awaited<ReturnType<typeof send>>>) {
    batch.forEach(({ source, metadata, leftOut = [] }, index) => {
      const result = results[index]!;
      tally.add(source, result);
      tally.leaveOut(leftOut);
      if (!['failed', 'duplicate'].includes(result.status) && Object.hasOwn(metadata, labelField))
        tally.labelled += 1;
    });
    options.onProgress(
      batch.length,
      batch.reduce((sum, { weight }) => sum + weight, 0),
    );
  }
}

async function* batches(
  entries: AsyncIterable<ImportEntry>,
  { batchSize, tally, onProgress }: ImportOptions,
): AsyncGenerator<FoundItem[], void> {
  const sources = new Map<string, string>();
  let batch: FoundItem[] = [];
  let bytes = 0;
  for await (const entry of entries) {
    if (entry.kind === 'other') {
      tally.skip(entry.extension);
      onProgress(0, entry.weight);
      continue;
    }
    const problem = entry.kind === 'unreadable' ? entry.reason : repeats(entry, sources);
    if (entry.kind === 'unreadable' || problem !== undefined) {
      tally.fail(entry.source, problem!);
      onProgress(1, entry.weight);
      continue;
    }
    const size = sizeOf(entry);
    const isFull =
      batch.length === (batchSize ?? DEFAULT_BATCH[entry.kind]) ||
      bytes + size > MAX_BATCH_BYTES ||
      batch[0]?.kind !== entry.kind;
    if (batch.length > 0 && isFull) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(entry);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** Bytes on the way to the server; a vector goes as base64. */
function sizeOf(item: FoundItem): number {
  return item.kind === 'image' ? item.bytes.length : Math.ceil((item.vector.byteLength * 4) / 3);
}

/** Two sources with one id would take turns at replacing each other at every import. */
function repeats({ id, source }: FoundItem, sources: Map<string, string>): string | undefined {
  const first = sources.get(id);
  if (first !== undefined) return `its id ${id} is already that of ${first}`;
  sources.set(id, source);
  return undefined;
}

/** A refused batch is sent again in halves, down to what is at fault. */
async function putBatch(options: ImportOptions, batch: readonly FoundItem[]): Promise<BatchResult[]> {
  try {
    return await put(options, batch);
  } catch (error) {
    if (!(error instanceof DinoClientError) || !BATCH_AT_FAULT.has(error.status ?? 0)) throw error;
    if (batch.length === 1) {
      const { code, detail, requestId, status = 0 } = error;
      const problem = { type: code, title: code, status, detail, instance: requestId ?? '' };
      return [{ id: batch[0]!.id, status: 'failed', error: problem }];
    }
    const middle = Math.ceil(batch.length / 2);
    return [
      ...(await putBatch(options, batch.slice(0, middle))),
      ...(await putBatch(options, batch.slice(middle))),
    ];
  }
}

/** @param batch all of one kind */
function put(
  { client, collection, objects, onDuplicate }: ImportOptions,
  batch: readonly FoundItem[],
): Promise<BatchResult[]> {
  if (batch[0]!.kind === 'vector') return client.putVectors(collection, batch as readonly FoundVector[]);
  const images = (batch as readonly FoundImage[]).map(({ id, bytes, metadata }) => ({
    id,
    image: bytes,
    metadata,
  }));
  return client.putImages(collection, images, { objects, onDuplicate });
}
