import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { CollectionRow } from './sqlite-catalog.js';
import { GraphSave } from './graph-save.js';
import { inspectHnswFile } from './hnsw-file.js';
import type { HnswFile } from './hnsw-file.js';
import { GRAPH_SPACE, HnswGraph } from './hnsw-graph.js';

const FORMAT_VERSION = 1;

/** The file beside a graph that says which graph it is and which state of it is whole. */
interface Sidecar {
  readonly formatVersion: number;
  /** Name of the graph's file in the same folder. */
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly space: string;
  readonly modelFingerprint: string;
  readonly dimension: number;
  readonly m: number;
  readonly efConstruction: number;
  readonly ef: number;
  /** Elements in the graph, deleted ones included. */
  readonly count: number;
  /** Highest label in the graph; -1 when it is empty. */
  readonly maxLabel: number;
}

export type LoadedGraph =
  | { readonly graph: HnswGraph }
  /** There is none, or it cannot be used; with a reason in the second case. */
  | { readonly graph: undefined; readonly problem: string | undefined };

/**
 * The graphs' files: derived data, written beside the database so that a start need not build them.
 *
 * `<key>.json` (the sidecar) names `<key>.<sha256>.hnsw`. A save writes a new graph file, checks it,
 * and then replaces the sidecar in one rename, so that the sidecar on disk always names a whole file.
 */
export class GraphFiles {
  constructor(private readonly folder: string) {
    mkdirSync(folder, { recursive: true });
  }

  /**
   * @param nextLabel the label the database gives next
   * @param isLive whether the database has a version with this label
   */
  load(collection: CollectionRow, nextLabel: number, isLive: (label: number) => boolean): LoadedGraph {
    const sidecarPath = this.sidecarPath(collection.key);
    if (!existsSync(sidecarPath)) {
      const orphan = this.filesOf(collection.key).length > 0;
      return { graph: undefined, problem: orphan ? 'its sidecar is missing' : undefined };
    }
    try {
      const sidecar = JSON.parse(readFileSync(sidecarPath, 'utf8')) as Sidecar;
      const problem = this.findProblem(sidecar, collection, nextLabel);
      if (problem !== undefined) return { graph: undefined, problem };
      const graph = HnswGraph.load(join(this.folder, sidecar.file), collection, isLive);
      return graph.size === sidecar.count
        ? { graph }
        : { graph: undefined, problem: `it holds ${graph.size} elements instead of ${sidecar.count}` };
    } catch (error) {
      return { graph: undefined, problem: error instanceof Error ? error.message : String(error) };
    }
  }

  /**
   * Begins to write the graph so that it survives a crash at any moment, and to replace the one before. Until the
   * save is over, the one before is what the next start reads.
   *
   * @throws Error when it cannot even begin
   */
  startSave(collection: CollectionRow, graph: HnswGraph): GraphSave {
    const temporary = join(this.folder, `${collection.key}.tmp`);
    return new GraphSave(graph, temporary, collection.dimension, (written, maxLabel) =>
      this.publish(collection, temporary, written, maxLabel),
    );
  }

  /** Gives a written file its name, and then the sidecar that name, each in one rename. */
  private publish(collection: CollectionRow, temporary: string, written: HnswFile, maxLabel: number): void {
    const { key } = collection;
    const file = `${key}.${written.sha256}.hnsw`;
    renameSync(temporary, join(this.folder, file));
    const sidecar: Sidecar = {
      formatVersion: FORMAT_VERSION,
      file,
      bytes: written.bytes,
      sha256: written.sha256,
      ...identity(collection),
      ef: collection.ef,
      count: written.count,
      maxLabel,
    };
    writeFileSync(temporary, JSON.stringify(sidecar, undefined, 2));
    sync(temporary, 'r+');
    renameSync(temporary, this.sidecarPath(key));
    // A rename is on disk when its folder is; Windows cannot open a folder and needs no such thing.
    if (process.platform !== 'win32') sync(this.folder, 'r');
    this.removeFiles(this.filesOf(key).filter((name) => name !== file && !name.endsWith('.json')));
  }

  /** Gives the graphs as they are now a second name in another folder on the same disk: files here are never changed. */
  linkInto(folder: string): void {
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(this.folder).filter((name) => /\.(hnsw|json)$/.test(name))) {
      linkSync(join(this.folder, name), join(folder, name));
    }
  }

  /** Removes everything that belongs to the collection with this key, its objects' graph too. */
  remove(key: string): void {
    this.removeFiles([...this.filesOf(key), ...this.filesOf(objectsKey(key))]);
  }

  /** Removes what a crash or a deleted collection left behind. */
  sweep(collectionKeys: readonly string[]): void {
    const liveKeys = new Set(collectionKeys.flatMap((key) => [key, objectsKey(key)]));
    this.removeFiles(
      readdirSync(this.folder).filter(
        (name) => /\.(hnsw|json|tmp)$/.test(name) && (name.endsWith('.tmp') || !liveKeys.has(keyOf(name))),
      ),
    );
  }

  private findProblem(sidecar: Sidecar, collection: CollectionRow, nextLabel: number): string | undefined {
    if (sidecar.formatVersion !== FORMAT_VERSION) return `its format is ${String(sidecar.formatVersion)}`;
    for (const [field, expected] of Object.entries(identity(collection))) {
      const found: unknown = sidecar[field as keyof Sidecar];
      if (found !== expected) return `its ${field} is ${String(found)} instead of ${expected}`;
    }
    if (
      typeof sidecar.file !== 'string' ||
      keyOf(sidecar.file) !== collection.key ||
      sidecar.file.includes('/')
    ) {
      return 'it belongs to another collection';
    }
    if (!(sidecar.maxLabel < nextLabel)) return 'it is newer than the database';
    const path = join(this.folder, sidecar.file);
    if (!existsSync(path)) return 'its file is missing';
    const found = inspectHnswFile(path);
    const whole =
      found?.sha256 === sidecar.sha256 && found.bytes === sidecar.bytes && found.count === sidecar.count;
    return whole && found.dimension === collection.dimension ? undefined : 'its file is damaged';
  }

  private sidecarPath(key: string): string {
    return join(this.folder, `${key}.json`);
  }

  private filesOf(key: string): string[] {
    return readdirSync(this.folder).filter((name) => keyOf(name) === key);
  }

  private removeFiles(names: readonly string[]): void {
    for (const name of names) rmSync(join(this.folder, name), { force: true });
  }
}

/** The key of the graph over a collection's objects. */
export function objectsKey(key: string): string {
  return `${key}-objects`;
}

/** What a graph must have in common with its collection to be of any use to it. */
function identity(
  collection: CollectionRow,
): Pick<Sidecar, 'space' | 'modelFingerprint' | 'dimension' | 'm' | 'efConstruction'> {
  const { modelFingerprint, dimension, m, efConstruction } = collection;
  return { space: GRAPH_SPACE, modelFingerprint, dimension, m, efConstruction };
}

function keyOf(fileName: string): string {
  return fileName.slice(0, fileName.indexOf('.'));
}

/** Waits until what was written to a file or folder is on the disk. */
function sync(path: string, mode: 'r' | 'r+'): void {
  const fd = openSync(path, mode);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
