import { randomUUID } from 'node:crypto';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { DinoError } from '../../errors.js';
import type {
  Alias,
  AlterableSettings,
  Collection,
  CollectionSettings,
  DuplicateQuery,
  FacetQuery,
  Facets,
  FinishOutcome,
  FoundImage,
  ImageOptions,
  ImagePage,
  KnownContent,
  ListQuery,
  ModelIdentity,
  NextVector,
  PendingImage,
  Picture,
  PutOptions,
  PutOutcome,
  ReembeddingProgress,
  SearchQuery,
  RankingSettings,
  StoredImage,
} from '../collection-store.js';
import type { Filter } from '../filter.js';
import { show, refuse } from '../input-checks.js';
import { decodeCursor, encodeCursor } from '../list-cursor.js';
import { applyAlteration } from '../validate-collection.js';
import { toUnitImage } from '../unit-image.js';
import type { EncodedPatch, ImageRecord } from '../validate-image.js';
import { Aliases } from './aliases.js';
import { blobChecksum } from './blob-checksum.js';
import { CollectionIndex, withObjects, type IndexStatus } from './collection-index.js';
import { DuplicateScan, type DuplicateProgress } from './duplicate-scan.js';
import { GraphFiles, objectsKey } from './graph-files.js';
import { CONTENTS, ContentFiles } from './contents/content-files.js';
import { Contents } from './contents/contents.js';
import type { StoredContent } from './contents/read-content.js';
import { GroupCommit } from './group-commit.js';
import type { CommitCounts, Settled } from './group-commit.js';
import { searchByLabel, searchHits } from './hit-search.js';
import { ObjectIndex } from './object-index.js';
import type { BackupProgress, OnlineBackup } from './online-backup.js';
import {
  describe,
  forget,
  indexesOf,
  requireModel,
  requireNoObjects,
  requireThumbnails,
  settingsDiffer,
} from './open-collection.js';
import type { OpenCollection } from './open-collection.js';
import { packHits, type PackedHits } from './packed-hits.js';
import { Reembeddings } from './reembeddings.js';
import { SqliteCatalog } from './sqlite-catalog.js';
import type { CollectionRow, LabelledVector } from './sqlite-catalog.js';
import { damaged, explainStorageError } from './storage-errors.js';

export interface EngineOptions {
  readonly dataDir: string;
  readonly exactBelow: number;
  readonly saveGraphEvery: number;
  readonly threads: number;
  readonly contentFilesFrom: number;
}

/** A call of `putImages` that is about to be made. */
export type PutCall = readonly [collection: string, images: readonly ImageRecord[], options?: PutOptions];

/** Longest stretch of work on graphs between two requests. */
const UPKEEP_SLICE_MS = 20;

/**
 * The embedded store itself: catalog, vectors and graphs behind synchronous methods, for a thread of
 * its own. Takes what the `validate…` functions have accepted; checks what only the stored data can
 * tell. A write is committed in the catalog first and then shown to the index.
 */
export class Engine {
  private readonly collections = new Map<string, OpenCollection>();
  private readonly aliases: Aliases;
  private readonly reembeddings: Reembeddings;
  private readonly scans = new Map<number, DuplicateScan>();
  private lastScan = 0;
  private readonly group: GroupCommit;
  private readonly contents: Contents;
  private backup: OnlineBackup | undefined;

  private constructor(
    private readonly options: EngineOptions,
    private readonly catalog: SqliteCatalog,
    private readonly files: GraphFiles,
    private readonly warn: (message: string) => void,
    private readonly clock: () => Date,
  ) {
    this.group = new GroupCommit(catalog);
    this.contents = new Contents({
      files: new ContentFiles(join(options.dataDir, CONTENTS)),
      table: catalog.contents,
      filesFrom: options.contentFilesFrom,
      warn,
    });
    this.aliases = new Aliases(catalog.aliases);
    this.reembeddings = new Reembeddings({
      catalog,
      files,
      createIndex: (row) => this.createIndex(row),
      decode: decodeVector,
      warn,
    });
  }

  /**
   * Opens the data folder, creating it if need be, and reads all vectors into memory.
   *
   * @param clock says what time it is; images keep in order of their changes even where it goes back
   * @throws conflict when another process has the folder, or a newer version has written it
   */
  static open(
    options: EngineOptions,
    warn: (message: string) => void,
    clock: () => Date = () => new Date(),
  ): Engine {
    const { dataDir } = options;
    let catalog: SqliteCatalog | undefined;
    try {
      mkdirSync(dataDir, { recursive: true });
      // SQLite would say no more than "disk I/O error".
      accessSync(dataDir, constants.W_OK);
      catalog = SqliteCatalog.open(
        join(dataDir, 'dino.sqlite'),
        ({ byteLength }) => byteLength >= options.contentFilesFrom,
      );
      const engine = new Engine(options, catalog, new GraphFiles(join(dataDir, 'graphs')), warn, clock);
      engine.load();
      return engine;
    } catch (cause) {
      catalog?.close();
      if (cause instanceof DinoError) throw cause;
      const known = explainStorageError(cause);
      if (known?.code === 'insufficient-storage') throw known;
      const reason = known?.message ?? (cause instanceof Error ? cause.message : String(cause));
      throw new DinoError('internal', `The data folder ${dataDir} cannot be used: ${reason}`, { cause });
    }
  }

  private load(): void {
    const rows = this.catalog.listCollections();
    this.files.sweep(rows.map((row) => row.key));
    for (const row of rows) {
      const { index, objects } = this.addCollection(row);
      for (const stored of this.catalog.vectors(row)) {
        index.vectors.add(stored.label, stored.id, decodeVector(stored, row));
      }
      const nextLabel = this.catalog.nextLabel(row.row);
      index.loadGraph(nextLabel);
      for (const stored of this.catalog.objects.vectors(row.row))
        objects.load(stored, decodeVector(stored, row));
      objects.index.loadGraph(nextLabel);
    }
    this.reembeddings.findLeftovers(this.collections.values());
  }

  private addCollection(row: CollectionRow): OpenCollection {
    const open = { row, index: this.createIndex(row), objects: this.createObjects(row) };
    this.collections.set(row.name, open);
    return open;
  }

  private createObjects(row: CollectionRow): ObjectIndex {
    return new ObjectIndex(this.createIndex({ ...row, key: objectsKey(row.key) }));
  }

  private createIndex(row: CollectionRow): CollectionIndex {
    const { exactBelow, saveGraphEvery, threads } = this.options;
    return new CollectionIndex({
      collection: row,
      files: this.files,
      exactBelow,
      saveGraphEvery,
      threads,
      warn: this.warn,
    });
  }

  createCollection(name: string, settings: CollectionSettings): { collection: Collection; created: boolean } {
    const existing = this.collections.get(this.aliases.resolve(name));
    if (existing !== undefined) {
      settingsDiffer(existing.row, settings);
      return { collection: describe(existing), created: false };
    }
    const row = this.catalog.insertCollection({
      key: randomUUID(),
      name,
      ...settings,
      createdAt: this.clock().toISOString(),
    });
    return { collection: describe(this.addCollection(row)), created: true };
  }

  alterCollection(name: string, changes: Partial<AlterableSettings>): Collection {
    const open = this.get(name);
    const altered = applyAlteration(open.row, changes);
    if (open.next !== undefined && altered.content !== open.row.content) {
      throw new DinoError(
        'conflict',
        `Collection "${open.row.name}" is being re-embedded, which needs the originals of all images. Wait for the job, or cancel it.`,
      );
    }
    this.catalog.alterCollection(open.row.row, altered);
    open.row = { ...open.row, ...altered };
    if (open.next !== undefined) open.next.row = { ...open.next.row, ...altered };
    return describe(open);
  }

  putAlias(alias: string, collection: string): { alias: Alias; created: boolean } {
    if (this.collections.has(alias)) {
      throw new DinoError('conflict', `"${alias}" is a collection. Give the alias another name.`);
    }
    return this.aliases.put(alias, collection, this.get(collection).row);
  }

  getAlias(alias: string): Alias {
    return this.aliases.get(alias);
  }

  listAliases(): Alias[] {
    return this.aliases.list();
  }

  deleteAlias(alias: string): void {
    this.aliases.delete(alias);
  }

  beginReembedding(name: string, next: ModelIdentity): ReembeddingProgress {
    return this.reembeddings.begin(this.get(name), next);
  }

  listPending(name: string, { after = -1, limit }: { after?: number; limit: number }): PendingImage[] {
    return this.reembeddings.listPending(this.get(name), after, limit);
  }

  putNextVectors(name: string, vectors: readonly NextVector[]): ReembeddingProgress {
    return this.reembeddings.put(this.get(name), vectors);
  }

  finishReembedding(name: string, { dropMissing }: { dropMissing: boolean }): FinishOutcome {
    const open = this.get(name);
    const outcome = this.reembeddings.finish(open, dropMissing);
    if (outcome.state === 'swapped') {
      open.objects.index.dispose();
      open.objects = this.createObjects(open.row);
    }
    return outcome;
  }

  cancelReembedding(name: string): void {
    this.reembeddings.cancel(this.get(name));
  }

  countWithoutOriginal(name: string): { count: number; ids: string[] } {
    return this.catalog.reembeddings.withoutOriginal(this.get(name).row, 100);
  }

  getCollection(name: string): Collection {
    return describe(this.get(name));
  }

  listCollections(): Collection[] {
    // Names are ASCII, where JavaScript's order is the order of code points.
    return [...this.collections.keys()].sort().map((name) => this.getCollection(name));
  }

  deleteCollection(name: string): void {
    this.aliases.requireNone(name);
    const { row, index, objects, next } = this.get(name);
    this.catalog.deleteCollection(row.row);
    index.dispose();
    objects.index.dispose();
    next?.index.dispose();
    this.collections.delete(name);
    this.contents.sweep();
    try {
      this.files.remove(row.key);
      if (next !== undefined) this.files.remove(next.row.key);
    } catch (error) {
      this.warn(
        `Graph files of the deleted collection "${name}" remain until the next start (${String(error)}).`,
      );
    }
  }

  putImages(name: string, images: readonly ImageRecord[], options: PutOptions = {}): PutOutcome[] {
    const open = this.get(name);
    const { row, index } = open;
    refuseDuplicates(images);
    for (const image of images) requireModel(row, image.modelFingerprint);
    requireThumbnails(row, images);
    requireNoObjects(open, images);
    if (row.content === 'original') this.contents.require(images);
    const records = images.map((image) => toUnitImage(image, row.dimension));
    this.group.reserve(index.vectors, records.length);
    const objects = records.reduce((sum, image) => sum + (image.objects?.found.length ?? 0), 0);
    if (objects > 0) this.group.reserve(open.objects.index.vectors, objects);
    const changes = this.catalog.putImages(row, records, { ...options, now: this.clock().toISOString() });
    for (const { replacedContent } of changes) this.contents.released(replacedContent);
    this.group.afterCommit(() =>
      changes.forEach(({ label, replacedLabel }, i) => {
        if (replacedLabel !== undefined) forget(open, replacedLabel);
        if (label === undefined) return;
        const { id, vector, objects: shown } = records[i]!;
        open.index.insert(label, id, vector);
        shown?.found.forEach((object, number) =>
          open.objects.insert({ imageLabel: label, id, number }, object.vector),
        );
      }),
    );
    return changes.map((change) => change.outcome);
  }

  getImage(name: string, id: string, options: ImageOptions = {}): FoundImage {
    const image = this.catalog.findImage(this.get(name).row.row, id) ?? missing(name, id);
    return options.withVector === true ? this.withVector(name, image) : image;
  }

  findImages(name: string, ids: readonly string[]): StoredImage[] {
    const { row } = this.get(name);
    return [...new Set(ids)].flatMap((id) => this.catalog.findImage(row.row, id) ?? []);
  }

  findContents(name: string, contentHashes: readonly string[]): KnownContent[] {
    const { row } = this.get(name).row;
    return [...new Set(contentHashes)].flatMap((contentHash) => {
      const id = this.catalog.contents.findOwner(row, contentHash);
      return id === undefined ? [] : [{ contentHash, id }];
    });
  }

  /** The original's row; its bytes are for `readContent` to find and to check. */
  findContent(name: string, id: string): StoredContent {
    const { row } = this.get(name);
    return this.catalog.findContent(row.row, id) ?? this.notKept(row, id, 'original');
  }

  getThumbnail(name: string, id: string): Picture {
    const { row } = this.get(name);
    const { checksum, ...picture } =
      this.catalog.findThumbnail(row.row, id) ?? this.notKept(row, id, 'thumbnail');
    if (checksum !== null && blobChecksum(picture.bytes) !== checksum) {
      throw damaged(`The thumbnail of image ${show(id)} in collection "${name}"`);
    }
    return picture;
  }

  private notKept({ row, name }: CollectionRow, id: string, what: string): never {
    if (this.catalog.findLabel(row, id) === undefined) missing(name, id);
    throw new DinoError(
      'not-found',
      `The ${what} of image ${show(id)} in collection "${name}" is not kept: it was stored while the collection kept none.`,
    );
  }

  getVectors(name: string, ids: readonly string[]): Float32Array[] {
    const { row, index } = this.get(name);
    return ids.map((id) => index.vectors.get(this.catalog.findLabel(row.row, id) ?? missing(name, id)));
  }

  listImages(name: string, query: ListQuery): ImagePage {
    const { row } = this.get(name);
    const after = query.cursor === undefined ? '' : decodeCursor(query.cursor);
    const images = this.catalog.listImages(row.row, after, query.limit + 1, query.filter);
    const isLast = images.length <= query.limit;
    if (!isLast) images.pop();
    return {
      images: query.withVectors === true ? images.map((image) => this.withVector(name, image)) : images,
      nextCursor: isLast ? null : encodeCursor(images.at(-1)!.id),
    };
  }

  patchMetadata(name: string, id: string, patch: EncodedPatch): StoredImage {
    const { row } = this.get(name);
    return this.catalog.patchMetadata(row.row, id, patch, this.clock().toISOString()) ?? missing(name, id);
  }

  deleteImage(name: string, id: string): void {
    const open = this.get(name);
    const { label, contentHash } = this.catalog.deleteImage(open.row.row, id) ?? missing(name, id);
    this.contents.released(contentHash);
    this.group.afterCommit(() => forget(open, label));
  }

  // A spread comes last in what each search makes: see `HitSearch.describe`.
  search(name: string, query: SearchQuery): PackedHits {
    return packHits(searchHits({ catalog: this.catalog, ...this.get(name) }, query));
  }

  searchStored(
    name: string,
    id: string,
    settings: RankingSettings,
  ): { readonly hits: PackedHits; readonly model: string } {
    const open = this.get(name);
    const label = this.catalog.findLabel(open.row.row, id) ?? missing(name, id);
    const hits = searchByLabel({ catalog: this.catalog, ...open }, label, settings);
    return { hits: packHits(hits), model: open.row.model };
  }

  countImages(name: string, filter: Filter | undefined): number {
    return this.catalog.fields.count(this.get(name).row.row, filter);
  }

  facets(name: string, query: FacetQuery): Facets {
    return this.catalog.fields.facets(this.get(name).row.row, query);
  }

  /** @returns the number by which the scan goes on */
  startDuplicates(name: string, query: DuplicateQuery): number {
    this.scans.set(++this.lastScan, new DuplicateScan({ ...this.get(name), catalog: this.catalog }, query));
    return this.lastScan;
  }

  stepDuplicates(name: string, scan: number): DuplicateProgress {
    const found = this.scans.get(scan);
    if (found === undefined || found.collection.index !== this.get(name).index)
      throw new DinoError(
        'not-found',
        `The collection "${name}" is not the one any more that was looked at.`,
      );
    return found.step();
  }

  endDuplicates(scan: number): void {
    this.scans.delete(scan);
  }

  indexStatus(name: string): IndexStatus {
    const { index, objects } = this.get(name);
    return withObjects(index.status(), objects.index.status());
  }

  /**
   * Does writes that put off what they show (`afterCommit`) in order, with one wait for the disk; before it, the files
   * that they name are on the disk.
   *
   * @param puts the calls of `putImages` among them
   */
  async writeTogether(
    writes: readonly (() => unknown)[],
    puts: readonly PutCall[],
  ): Promise<Settled<unknown>[]> {
    const kept = puts.filter(([name]) => this.find(name)?.row.content === 'original');
    await this.contents.write(kept.flatMap(([, images]) => images));
    try {
      return this.group.run(writes);
    } finally {
      this.contents.settle();
    }
  }

  commitCounts(): CommitCounts {
    return this.group.statistics;
  }

  /**
   * Begins a copy of the database, and of the graphs as they are on disk, in a folder that is there. Until `endBackup`
   * every original that the copy may name stays where it is.
   */
  beginBackup(folder: string): void {
    if (this.contents.isHeld) throw new DinoError('conflict', 'A backup is under way already.');
    this.contents.hold();
    // The graphs first: one older than the database is caught up, one newer is of no use.
    this.files.linkInto(join(folder, 'graphs'));
    this.backup = this.catalog.backUp(join(folder, 'dino.sqlite'));
  }

  /** Goes on with the copy for a short stretch. */
  async continueBackup(): Promise<BackupProgress> {
    if (this.backup === undefined) throw new DinoError('internal', 'No backup is under way.');
    let going = false;
    try {
      const progress = await this.backup.slice(UPKEEP_SLICE_MS);
      going = !progress.finished;
      return progress;
    } finally {
      if (!going) this.backup = undefined;
    }
  }

  /** When the copy has been used, and to stop before it is whole. */
  async endBackup(): Promise<void> {
    await this.backup?.cancel();
    this.backup = undefined;
    this.contents.release();
  }

  get needsUpkeep(): boolean {
    if (this.reembeddings.hasLeftovers || this.contents.needsUpkeep) return true;
    return [...this.collections.values()].some((open) => indexesOf(open).some((index) => index.needsUpkeep));
  }

  /** A short stretch of work on graphs and files. */
  async upkeep(): Promise<void> {
    const end = performance.now() + UPKEEP_SLICE_MS;
    const mayGoOn = (): boolean => performance.now() < end;
    for (const open of this.collections.values()) {
      for (const each of indexesOf(open)) {
        if (each.needsUpkeep) each.upkeep(mayGoOn);
        if (!mayGoOn()) return;
      }
    }
    this.reembeddings.sweep(mayGoOn);
    await this.contents.upkeep(mayGoOn);
  }

  /** Saves the graphs and closes the database. */
  close(): void {
    try {
      for (const { index, objects, next } of this.collections.values()) {
        index.save();
        objects.index.save();
        next?.index.dispose();
      }
    } finally {
      this.catalog.close();
    }
  }

  private withVector(name: string, image: StoredImage): FoundImage {
    return { ...image, vector: this.getVectors(name, [image.id])[0]! };
  }

  private find(name: string): OpenCollection | undefined {
    return this.collections.get(this.aliases.resolve(name));
  }

  private get(name: string): OpenCollection {
    const collection = this.find(name);
    if (collection === undefined) throw new DinoError('not-found', `There is no collection "${name}".`);
    return collection;
  }
}

function missing(name: string, id: string): never {
  throw new DinoError('not-found', `There is no image ${show(id)} in collection "${name}".`);
}

function refuseDuplicates(images: readonly ImageRecord[]): void {
  const seen = new Set<string>();
  for (const { id } of images) {
    if (seen.has(id)) refuse(`The id ${show(id)} is there twice in one call; each image may be stored once.`);
    seen.add(id);
  }
}

function decodeVector({ id, vector, checksum }: LabelledVector, row: CollectionRow): Float32Array {
  const isWhole = vector.byteLength === row.dimension * 4;
  if (!isWhole || (checksum !== null && blobChecksum(vector) !== checksum)) {
    throw damaged(`The vector of image ${show(id)} in collection "${row.name}"`);
  }
  // A copy, because the database's buffer need not lie on a multiple of four.
  return new Float32Array(vector.slice().buffer);
}
