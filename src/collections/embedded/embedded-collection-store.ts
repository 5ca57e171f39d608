import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import type {
  Alias,
  AlterableSettings,
  Collection,
  GivenSettings,
  CollectionStore,
  DuplicateOptions,
  DuplicateQuery,
  DuplicateReport,
  FacetQuery,
  Facets,
  FinishOutcome,
  FoundImage,
  ImageOptions,
  ImagePage,
  KnownContent,
  ListQuery,
  MetadataPatch,
  ModelIdentity,
  NewImage,
  NextVector,
  PendingImage,
  Picture,
  PutOptions,
  PutOutcome,
  ReembeddingProgress,
  SearchAnswer,
  SearchHit,
  SearchQuery,
  RankingSettings,
  StoredImage,
} from '../collection-store.js';
import type { Filter } from '../filter.js';
import { checkInteger } from '../input-checks.js';
import {
  validateCollectionName,
  validateModelIdentity,
  validateNextVector,
  validateSettings,
} from '../validate-collection.js';
import {
  encodePatch,
  validateDuplicateChoice,
  validateImageId,
  validateNewImage,
} from '../validate-image.js';
import { validateFilter } from '../validate-filter.js';
import {
  validateDuplicateQuery,
  validateFacetQuery,
  validateListQuery,
  validateSearchQuery,
  validateRankingSettings,
} from '../validate-query.js';
import type { IndexStatus } from './collection-index.js';
import { CONTENTS, CONTENT_FILES_FROM } from './contents/content-files.js';
import { readContent } from './contents/read-content.js';
import { DATABASE } from './snapshots/manifest.js';
import { EngineThread } from './engine-thread.js';
import { syncPath } from './sync-path.js';
import type { CommitCounts } from './group-commit.js';
import { unpackHits } from './packed-hits.js';

/** Pages of a copy that may wait for the disk; 8 MiB of the usual 4 KiB ones. */
const PAGES_PER_SYNC = 2048;

export interface EmbeddedStoreOptions {
  /** Folder of the database and the graphs; created when it is not there. One process at a time. */
  readonly dataDir: string;
  /**
   * Collections with fewer vectors are searched by scanning, which is exact and fast at that size; a
   * graph is built from there on. 0 or more, default 10,000.
   */
  readonly exactBelow?: number;
  /**
   * Changes to a graph after which it is saved, or a fifth of its size where that is more; after a
   * crash at most so many are added again. 1 or more, default 10,000.
   */
  readonly saveGraphEvery?: number;
  /**
   * Native threads that share the building of graphs and long scans; 1..256, default: as many as the machine has
   * cores.
   */
  readonly threads?: number;
  /**
   * Originals of so many bytes or more are files in the folder's `contents`, named by their SHA-256; smaller ones are in
   * the database, which writes them faster. 0 or more, default 65,536.
   */
  readonly contentFilesFrom?: number;
  /** Told, in one sentence, of trouble with derived data that heals itself. Default: `process.emitWarning`. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Collections in one folder on this machine: SQLite for the truth, memory for exact search, HNSW
 * graphs beside it. All of it runs in one thread of its own; the event loop never waits for it.
 *
 * Writes take effect in the order they were made, and a read sees all that were made before it. Writes that wait for the
 * thread at the same time share one commit (group commit): each is still all or nothing, and answered once it is on disk.
 */
export class EmbeddedCollectionStore implements CollectionStore {
  private constructor(
    private readonly thread: EngineThread,
    /** Folder of the originals that are files. */
    private readonly contents: string,
  ) {}

  /**
   * Opens the folder and reads all vectors into memory. Graphs that are missing, damaged or behind are
   * brought up to date afterwards, while the store is already answering.
   *
   * @throws conflict when another process uses the folder, or a newer version has written it
   */
  static async open(options: EmbeddedStoreOptions): Promise<EmbeddedCollectionStore> {
    const { onWarning = (message) => process.emitWarning(message, 'DinoStoreWarning') } = options;
    const dataDir = resolve(options.dataDir);
    const thread = await EngineThread.start(
      {
        dataDir,
        exactBelow: checkInteger(options.exactBelow ?? 10_000, 'exactBelow', 0, Number.MAX_SAFE_INTEGER),
        saveGraphEvery: checkInteger(
          options.saveGraphEvery ?? 10_000,
          'saveGraphEvery',
          1,
          Number.MAX_SAFE_INTEGER,
        ),
        threads: checkInteger(options.threads ?? Math.min(availableParallelism(), 256), 'threads', 1, 256),
        contentFilesFrom: checkInteger(
          options.contentFilesFrom ?? CONTENT_FILES_FROM,
          'contentFilesFrom',
          0,
          Number.MAX_SAFE_INTEGER,
        ),
      },
      onWarning,
    );
    return new EmbeddedCollectionStore(thread, join(dataDir, CONTENTS));
  }

  async createCollection(
    name: string,
    settings: GivenSettings,
  ): Promise<{ collection: Collection; created: boolean }> {
    return this.thread.call('createCollection', [validateCollectionName(name), validateSettings(settings)]);
  }

  async getCollection(name: string): Promise<Collection> {
    return this.thread.call('getCollection', [validateCollectionName(name)]);
  }

  async listCollections(): Promise<Collection[]> {
    return this.thread.call('listCollections', []);
  }

  async alterCollection(name: string, changes: Partial<AlterableSettings>): Promise<Collection> {
    const { ef, content, thumbnails } = changes;
    return this.thread.call('alterCollection', [validateCollectionName(name), { ef, content, thumbnails }]);
  }

  async putAlias(alias: string, collection: string): Promise<{ alias: Alias; created: boolean }> {
    return this.thread.call('putAlias', [validateCollectionName(alias), validateCollectionName(collection)]);
  }

  async getAlias(alias: string): Promise<Alias> {
    return this.thread.call('getAlias', [validateCollectionName(alias)]);
  }

  async listAliases(): Promise<Alias[]> {
    return this.thread.call('listAliases', []);
  }

  async deleteAlias(alias: string): Promise<void> {
    return this.thread.call('deleteAlias', [validateCollectionName(alias)]);
  }

  async beginReembedding(collection: string, next: ModelIdentity): Promise<ReembeddingProgress> {
    const name = validateCollectionName(collection);
    return this.thread.call('beginReembedding', [name, validateModelIdentity(next)]);
  }

  async listPending(
    collection: string,
    { after, limit }: { readonly after?: number; readonly limit: number },
  ): Promise<PendingImage[]> {
    const options = { after, limit: checkInteger(limit, 'limit', 1, 1000) };
    return this.thread.call('listPending', [validateCollectionName(collection), options]);
  }

  async putNextVectors(collection: string, vectors: readonly NextVector[]): Promise<ReembeddingProgress> {
    const name = validateCollectionName(collection);
    const copies = vectors.map(validateNextVector);
    return this.thread.call(
      'putNextVectors',
      [name, copies],
      copies.map(({ vector }) => vector.buffer as ArrayBuffer),
    );
  }

  async finishReembedding(
    collection: string,
    { dropMissing }: { readonly dropMissing: boolean },
  ): Promise<FinishOutcome> {
    return this.thread.call('finishReembedding', [validateCollectionName(collection), { dropMissing }]);
  }

  async cancelReembedding(collection: string): Promise<void> {
    return this.thread.call('cancelReembedding', [validateCollectionName(collection)]);
  }

  async countWithoutOriginal(collection: string): Promise<{ count: number; ids: string[] }> {
    return this.thread.call('countWithoutOriginal', [validateCollectionName(collection)]);
  }

  async deleteCollection(name: string): Promise<void> {
    return this.thread.call('deleteCollection', [validateCollectionName(name)]);
  }

  async putImages(
    collection: string,
    images: readonly NewImage[],
    options: PutOptions = {},
  ): Promise<PutOutcome[]> {
    const name = validateCollectionName(collection);
    const onDuplicate = validateDuplicateChoice(options.onDuplicate);
    // Copied tightly and handed over: sending a view would copy the whole buffer behind it.
    const records = images.map(validateNewImage).map((image) => ({
      ...image,
      content: image.content && new Uint8Array(image.content),
      thumbnail: image.thumbnail && new Uint8Array(image.thumbnail),
      vector: new Float32Array(image.vector),
      objects: image.objects && {
        ...image.objects,
        found: image.objects.found.map((object) => ({ ...object, vector: new Float32Array(object.vector) })),
      },
    }));
    const buffers = records.flatMap(({ content, thumbnail, vector, objects }) =>
      [content, thumbnail, vector, ...(objects?.found.map((object) => object.vector) ?? [])].flatMap(
        (array) => (array === undefined ? [] : [array.buffer]),
      ),
    );
    return this.thread.call('putImages', [name, records, { onDuplicate }], buffers);
  }

  async getImage(collection: string, id: string, options: ImageOptions = {}): Promise<FoundImage> {
    const { withVector } = options;
    return this.thread.call('getImage', [
      validateCollectionName(collection),
      validateImageId(id),
      { withVector },
    ]);
  }

  async findImages(collection: string, ids: readonly string[]): Promise<StoredImage[]> {
    return this.thread.call('findImages', [validateCollectionName(collection), ids.map(validateImageId)]);
  }

  async findContents(collection: string, contentHashes: readonly string[]): Promise<KnownContent[]> {
    return this.thread.call('findContents', [validateCollectionName(collection), [...contentHashes]]);
  }

  async getContent(collection: string, id: string): Promise<Picture> {
    const name = validateCollectionName(collection);
    const call = [name, validateImageId(id)] as const;
    return readContent({ folder: this.contents, collection: name, id }, () =>
      this.thread.call('findContent', [...call]),
    );
  }

  async getThumbnail(collection: string, id: string): Promise<Picture> {
    return this.thread.call('getThumbnail', [validateCollectionName(collection), validateImageId(id)]);
  }

  async getVectors(collection: string, ids: readonly string[]): Promise<Float32Array[]> {
    return this.thread.call('getVectors', [validateCollectionName(collection), ids.map(validateImageId)]);
  }

  async listImages(collection: string, query: ListQuery): Promise<ImagePage> {
    return this.thread.call('listImages', [validateCollectionName(collection), validateListQuery(query)]);
  }

  async patchMetadata(collection: string, id: string, patch: MetadataPatch): Promise<StoredImage> {
    const name = validateCollectionName(collection);
    return this.thread.call('patchMetadata', [name, validateImageId(id), encodePatch(patch)]);
  }

  async deleteImage(collection: string, id: string): Promise<void> {
    return this.thread.call('deleteImage', [validateCollectionName(collection), validateImageId(id)]);
  }

  async search(collection: string, query: SearchQuery): Promise<SearchHit[]> {
    const name = validateCollectionName(collection);
    const checked = validateSearchQuery(query);
    // Copied tightly, because sending a view would copy the whole buffer behind it; not handed over, because a quick
    // read may be sent twice.
    const packed = await this.thread.call('search', [
      name,
      { ...checked, vector: new Float32Array(checked.vector) },
    ]);
    return unpackHits(packed).list();
  }

  async searchStored(collection: string, id: string, settings: RankingSettings): Promise<SearchAnswer> {
    const name = validateCollectionName(collection);
    const checked = validateRankingSettings(settings);
    const { hits, model } = await this.thread.call('searchStored', [name, validateImageId(id), checked]);
    return { hits: unpackHits(hits), model };
  }

  async countImages(collection: string, filter?: Filter): Promise<number> {
    const name = validateCollectionName(collection);
    return this.thread.call('countImages', [name, filter === undefined ? undefined : validateFilter(filter)]);
  }

  async facets(collection: string, query: FacetQuery): Promise<Facets> {
    return this.thread.call('facets', [validateCollectionName(collection), validateFacetQuery(query)]);
  }

  async findDuplicates(
    collection: string,
    query: DuplicateQuery,
    { signal, onProgress }: DuplicateOptions = {},
  ): Promise<DuplicateReport> {
    const name = validateCollectionName(collection);
    const scan = await this.thread.call('startDuplicates', [name, validateDuplicateQuery(query)]);
    try {
      for (;;) {
        signal?.throwIfAborted();
        const { done, total, report } = await this.thread.call('stepDuplicates', [name, scan]);
        onProgress?.(done, total);
        if (report !== undefined) return report;
      }
    } finally {
      // Where the store was closed meanwhile, nothing is left to end.
      await this.thread.call('endDuplicates', [scan]).catch(() => undefined);
    }
  }

  /** What is derived from a collection and how complete it is; for metrics. @throws not-found */
  async indexStatus(collection: string): Promise<IndexStatus> {
    return this.thread.call('indexStatus', [validateCollectionName(collection)]);
  }

  /** How many writes there were since the thread started, and in how many commits; for metrics and benchmarks. */
  async commitCounts(): Promise<CommitCounts> {
    return this.thread.call('commitCounts', []);
  }

  /**
   * Copies the database and the graphs into a folder on the same disk, as they are at the end of it, while reads and
   * writes go on in between. The originals that the copy names are in the data folder's `contents` until `endBackup`,
   * which must be called once the copy has been used.
   *
   * @throws what the disk says; the signal's reason once it is aborted
   */
  async backUp(
    folder: string,
    {
      signal,
      onProgress,
    }: { signal: AbortSignal; onProgress: (donePages: number, totalPages: number) => void },
  ): Promise<void> {
    await this.thread.call('beginBackup', [folder]);
    try {
      for (let finished = false, synced = 0; !finished;) {
        signal.throwIfAborted();
        const progress = await this.thread.call('continueBackup', []);
        onProgress(progress.donePages, progress.totalPages);
        finished = progress.finished;
        if (progress.donePages - synced < PAGES_PER_SYNC) continue;
        synced = progress.donePages;
        // Else the last slice would wait for all of it, on the store's thread, and so would every read.
        await syncPath(join(folder, DATABASE));
      }
    } catch (error) {
      await this.endBackup();
      throw error;
    }
  }

  async endBackup(): Promise<void> {
    return this.thread.call('endBackup', []);
  }

  /** Resolves when no graph is behind any more; for benchmarks and imports that want to wait for it. */
  async settle(): Promise<void> {
    return this.thread.settle();
  }

  async close(): Promise<void> {
    return this.thread.close();
  }
}
