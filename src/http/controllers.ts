import type { Controller, IocContainer } from '@tsoa/runtime';
import type { AppParts } from './app-parts.js';
import { AliasesController } from './controllers/aliases.controller.js';
import { AttentionController } from './controllers/attention.controller.js';
import { CollectionsController } from './controllers/collections.controller.js';
import { CorrespondencesController } from './controllers/correspondences.controller.js';
import { CosegmentationController } from './controllers/cosegmentation.controller.js';
import { DuplicatesController } from './controllers/duplicates.controller.js';
import { EmbeddingsController } from './controllers/embeddings.controller.js';
import { ExplainController } from './controllers/explain.controller.js';
import { FacetsController } from './controllers/facets.controller.js';
import { ImagesController } from './controllers/images.controller.js';
import { JobsController } from './controllers/jobs.controller.js';
import { MasksController } from './controllers/masks.controller.js';
import { ModelsController } from './controllers/models.controller.js';
import { SearchController } from './controllers/search.controller.js';
import { SnapshotsController } from './controllers/snapshots.controller.js';
import { VectorsController } from './controllers/vectors.controller.js';
import { ImageInput } from './image-input.js';

/** How each controller is made. One per request, since tsoa keeps the answer's status and headers in it. */
export function createControllers({ config, store, jobs, services }: AppParts): IocContainer {
  const images = new ImageInput(store, config.maxImageBytes);
  const { maxImagesPerRequest } = config;
  const factories = new Map<unknown, () => Controller>([
    [
      EmbeddingsController,
      () => new EmbeddingsController({ embeddings: services.embeddings, images, maxImagesPerRequest }),
    ],
    [AttentionController, () => new AttentionController({ attention: services.attention, images })],
    [
      MasksController,
      () => new MasksController({ masks: services.masks, photoMasks: services.photoMasks, images }),
    ],
    [
      CorrespondencesController,
      () => new CorrespondencesController({ correspondences: services.correspondences, images }),
    ],
    [
      CosegmentationController,
      () =>
        new CosegmentationController({
          cosegmentation: services.cosegmentation,
          photoMasks: services.photoMasks,
          images,
        }),
    ],
    [
      ExplainController,
      () =>
        new ExplainController({
          collections: services.collections,
          stored: services.images,
          correspondences: services.correspondences,
          images,
        }),
    ],
    [SnapshotsController, () => new SnapshotsController(services.snapshots)],
    [JobsController, () => new JobsController(jobs)],
    [ModelsController, () => new ModelsController(services.models)],
    [
      CollectionsController,
      () =>
        new CollectionsController({ collections: services.collections, reembedding: services.reembedding }),
    ],
    [AliasesController, () => new AliasesController(services.collections)],
    [ImagesController, () => new ImagesController({ service: services.images, images, maxImagesPerRequest })],
    [VectorsController, () => new VectorsController(services.vectors)],
    [SearchController, () => new SearchController({ search: services.search, images, maxImagesPerRequest })],
    [DuplicatesController, () => new DuplicatesController({ store, jobs })],
    [FacetsController, () => new FacetsController(store)],
  ]);
  return {
    get<T>(type: unknown): T {
      const create = factories.get(type);
      if (create === undefined) throw new Error(`no factory for the controller ${String(type)}`);
      return create() as T;
    },
  };
}
