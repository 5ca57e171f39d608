import { setTimeout as delay } from 'node:timers/promises';
import type { Caller } from '../caller.js';
import { DinoError } from '../errors.js';
import type { EmbeddingService } from '../inference/embedding.service.js';
import type { Job, JobContext, JobResult } from '../jobs/job.js';
import type { JobRunner } from '../jobs/job-runner.js';
import type { Model, ModelRegistry } from '../models/model-registry.js';
import type { CollectionStore, NextVector, PendingImage } from './collection-store.js';

/** Images embedded and stored together. */
const BATCH = 16;
/** How long to leave the model to requests when it has no place for a batch, and the store to build a graph. */
const PAUSE_MS = 200;

export interface ReembeddingOptions {
  /** Name of the model to change to. */
  readonly model: string;
  /** Delete the images whose original is not kept, instead of refusing. Default false. */
  readonly dropMissing?: boolean;
}

/**
 * Gives a collection another model, as a job: the vectors are made of the stored originals beside those of now, what is
 * stored meanwhile is caught up with, and then all of it is put in place at once.
 */
export class ReembeddingService {
  readonly #store: CollectionStore;
  readonly #models: ModelRegistry;
  readonly #embeddings: EmbeddingService;
  readonly #jobs: JobRunner;

  constructor(parts: {
    store: CollectionStore;
    models: ModelRegistry;
    embeddings: EmbeddingService;
    jobs: JobRunner;
  }) {
    this.#store = parts.store;
    this.#models = parts.models;
    this.#embeddings = parts.embeddings;
    this.#jobs = parts.jobs;
  }

  /**
   * Checks what can be checked, and starts the job.
   *
   * @throws DinoError not-found for the collection or the model; conflict when it is of that model, when images lack their
   *   original, and while another such job runs
   */
  async start(name: string, { model: modelName, dropMissing = false }: ReembeddingOptions): Promise<Job> {
    const collection = await this.#store.getCollection(name);
    const model = await this.#models.get(modelName);
    if (model.fingerprint === collection.modelFingerprint) {
      const detail = `Collection ${collection.name} is of the model ${collection.model} already, which has the same file as ${model.name}.`;
      throw new DinoError('conflict', detail);
    }
    if (collection.objects > 0) {
      const detail = `Collection ${collection.name} has the vectors of ${collection.objects} objects, which are not re-embedded. Store the images that have them again without objects, or into a new collection of the other model.`;
      throw new DinoError('conflict', detail);
    }
    const { count, ids } = await this.#store.countWithoutOriginal(name);
    if (count > 0 && !dropMissing) {
      const more = count > ids.length ? ', …' : '';
      const detail =
        `${count} of ${collection.count} images have no original to make a vector of: ${ids.join(', ')}${more}. ` +
        'Store them again while the collection keeps originals, or set dropMissing to delete them.';
      throw new DinoError('conflict', detail);
    }
    const topic = { collection: collection.name, alone: true };
    return this.#jobs.start('reembed', topic, (job) =>
      this.#run(collection.name, modelName, dropMissing, job),
    );
  }

  async #run(
    collection: string,
    modelName: string,
    dropMissing: boolean,
    job: JobContext,
  ): Promise<JobResult> {
    const { model, resumed } = await this.#models.whileInstalled(modelName, async (found) => {
      const { done } = await this.#store.beginReembedding(collection, identityOf(found));
      return { model: found, resumed: done };
    });
    try {
      const { embedded, dropped } = await this.#embedAll(collection, model, dropMissing, job);
      const { name, fingerprint: modelFingerprint } = model;
      return { model: name, modelFingerprint, embedded, resumed, dropped };
    } catch (error) {
      // Cancelled for good; a service that stops, or a failure, leaves what is done to the next attempt.
      if (job.signal.aborted && (job.signal.reason as DinoError).code === 'conflict') {
        await this.#store.cancelReembedding(collection);
      }
      throw error;
    }
  }

  async #embedAll(
    collection: string,
    model: Model,
    dropMissing: boolean,
    job: JobContext,
  ): Promise<{ embedded: number; dropped: number }> {
    let embedded = 0;
    // Versions only grow: what is stored meanwhile comes after everything that was there.
    for (let after: number | undefined; ;) {
      job.signal.throwIfAborted();
      const pending = await this.#store.listPending(collection, { after, limit: BATCH });
      if (pending.length > 0) {
        const vectors = await this.#embed(collection, pending, model, {
          signal: job.signal,
          priority: 'bulk',
        });
        const { done, total } = await this.#store.putNextVectors(collection, vectors);
        job.report(done, total);
        embedded += vectors.length;
        after = pending.at(-1)!.version;
        continue;
      }
      const outcome = await this.#store.finishReembedding(collection, { dropMissing });
      if (outcome.state === 'swapped') return { embedded, dropped: outcome.dropped };
      if (outcome.state === 'indexing') await delay(PAUSE_MS, undefined, { signal: job.signal });
    }
  }

  /** Without those that have gone meanwhile. */
  async #embed(
    collection: string,
    pending: readonly PendingImage[],
    model: Model,
    caller: Caller,
  ): Promise<NextVector[]> {
    const vectors = await Promise.all(
      pending.map(async ({ id, version }) => {
        const bytes = await this.#findContent(collection, id);
        if (bytes === undefined) return undefined;
        return { id, version, vector: await this.#embedOne(id, bytes, model, caller) };
      }),
    );
    return vectors.filter((vector) => vector !== undefined);
  }

  async #findContent(collection: string, id: string): Promise<Uint8Array | undefined> {
    try {
      return (await this.#store.getContent(collection, id)).bytes;
    } catch (error) {
      if (error instanceof DinoError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  /** Waits while requests need all places of the model: they go first. */
  async #embedOne(id: string, bytes: Uint8Array, model: Model, caller: Caller): Promise<Float32Array> {
    for (;;) {
      try {
        const [embedding] = await this.#embeddings.embedAll([bytes], model, caller);
        return embedding!.vector;
      } catch (error) {
        caller.signal.throwIfAborted();
        if (!(error instanceof DinoError)) throw error;
        if (error.code === 'overloaded' || error.code === 'not-ready') {
          await delay(PAUSE_MS, undefined, { signal: caller.signal });
        } else {
          throw new DinoError(error.code, `The image ${id} can't be embedded: ${error.message}`, {
            cause: error,
          });
        }
      }
    }
  }
}

function identityOf({ name, fingerprint, manifest }: Model) {
  return { model: name, modelFingerprint: fingerprint, dimension: manifest.architecture.embedDim };
}
