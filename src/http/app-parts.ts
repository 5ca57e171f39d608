import type { CollectionService } from '../collections/collection.service.js';
import type { CollectionStore } from '../collections/collection-store.js';
import type { ImageService } from '../collections/image.service.js';
import type { ModelService } from '../collections/model.service.js';
import type { ReembeddingService } from '../collections/reembedding.service.js';
import type { SearchService } from '../collections/search.service.js';
import type { SnapshotService } from '../collections/snapshot.service.js';
import type { VectorService } from '../collections/vector.service.js';
import type { Config } from '../config.js';
import type { EmbeddingService } from '../inference/embedding.service.js';
import type { JobRunner } from '../jobs/job-runner.js';
import type { Lifecycle } from '../lifecycle.js';
import type { Logger } from '../logger.js';
import type { Metrics } from '../metrics.js';
import type { AttentionService } from '../segmentation/attention.service.js';
import type { CosegmentationService } from '../segmentation/cosegmentation.service.js';
import type { CorrespondenceService } from '../segmentation/correspondence.service.js';
import type { MaskService } from '../segmentation/mask.service.js';
import type { PhotoMasks } from '../segmentation/photo-masks.js';

/** What the application is built from. */
export interface AppParts {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly lifecycle: Lifecycle;
  readonly store: CollectionStore;
  readonly jobs: JobRunner;
  readonly services: {
    readonly embeddings: EmbeddingService;
    readonly attention: AttentionService;
    readonly masks: MaskService;
    readonly photoMasks: PhotoMasks;
    readonly correspondences: CorrespondenceService;
    readonly cosegmentation: CosegmentationService;
    readonly collections: CollectionService;
    readonly images: ImageService;
    readonly search: SearchService;
    readonly reembedding: ReembeddingService;
    readonly vectors: VectorService;
    readonly models: ModelService;
    readonly snapshots: SnapshotService;
  };
}
