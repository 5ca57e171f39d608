import type { components } from './schema.js';

type Schemas = components['schemas'];

export type Alias = Schemas['AliasResource'];
/** With a row of numbers per head. */
export type FoundCosegmentation = Schemas['CosegmentationResponse'];
export type AttentionMaps = Omit<Schemas['AttentionResponse'], 'attention'> & { attention: number[][] };
export type BatchResult = Schemas['BatchResult'];
export type Classification = Schemas['ClassifyResponse'];
export type Collection = Schemas['CollectionResource'];
export type CollectionChanges = Schemas['AlterCollectionRequest'];
export type CollectionSettings = Schemas['CollectionRequest'];
export type Correspondences = Schemas['CorrespondenceResponse'];
export type Explanation = Schemas['ExplainResponse'];
export type Filter = Schemas['Filter'];
export type FoundMasks = Schemas['MaskResponse'];
export type Job = Schemas['JobResource'];
export type JobState = Schemas['JobStateName'];
export type Mask = Schemas['Mask'];
export type Metadata = Schemas['Metadata'];
export type MetadataValue = Schemas['MetadataValue'];
export type Model = Schemas['ModelResource'];
export type PutImageResult = Schemas['PutImageResponse'];
export type SearchAnswer = Schemas['SearchResponse'];
export type SearchResult = Schemas['SearchResult'];
export type SearchBatchAnswer = Schemas['SearchBatchResponse'];
export type Facets = Schemas['FacetResponse'];
export type UnusableModel = Schemas['UnusableModel'];
export type Snapshot = Schemas['SnapshotResource'];
export type SnapshotVerification = Schemas['SnapshotVerification'];
export type StoredImage = Schemas['ImageResource'];
export type StoredImageReference = Schemas['StoredImageReference'];

/** An encoded image (JPEG, PNG, WebP, GIF or AVIF). */
export type ImageBytes = Uint8Array | ArrayBuffer | Blob;

/** An encoded image, or one that a collection holds. */
export type ImageSource = ImageBytes | StoredImageReference;

/** What to look for: exactly one of these. */
export type SearchQuery =
  | {
      readonly image: ImageSource;
      /** The part of the image to look for; default: all of it. */
      readonly region?: Region;
      /** What stands for the region; default `crop`. */
      readonly regionVector?: 'crop' | 'tokens';
    }
  /** An image of the collection; it is not among the results. */
  | { readonly id: string }
  | { readonly vector: readonly number[] | Float32Array }
  /** Images to be close to and to be far from; they are not among the results. */
  | { readonly positive: readonly string[]; readonly negative?: readonly string[] };

/** A part of an image: a box `[x, y, width, height]` in px, or a mask as large as the image. */
export type Region =
  | { readonly bbox: readonly [x: number, y: number, width: number, height: number] }
  | { readonly mask: Schemas['RunLengthMask'] };

export interface NeighbourOptions {
  /** Neighbours wanted, 1..1000; default 10, to classify 20. */
  readonly k?: number;
  /** HNSW candidates, 1..4096; default: the collection's. */
  readonly ef?: number;
  /** true: compare with every vector; false: use the graph; default: the server decides. */
  readonly exact?: boolean;
  /** A condition on metadata. */
  readonly filter?: Filter;
}

export interface SearchOptions extends NeighbourOptions {
  /** Cosine similarity below which nothing is returned, -1..1. */
  readonly minScore?: number;
  /** Hits, or groups, left out from the top; `offset + k` is at most 10,000. Default 0. */
  readonly offset?: number;
  /** Cosine, 0..1, from which a hit is a copy of a better one and left out. */
  readonly suppressDuplicates?: number;
  /** Hits that differ from each other (MMR); not with `groupBy`. */
  readonly diversity?: { readonly lambda?: number; readonly candidates?: number };
  /** Metadata field: `k` groups of images with one value of it. */
  readonly groupBy?: string;
  /** Hits of each group, 1..100; default 1. */
  readonly groupSize?: number;
  /** What is compared with; default `images`. A hit found by an object has its `bbox`. */
  readonly objects?: 'images' | 'objects' | 'both';
  /** Give the hits' vectors: as numbers, or as base64 of little-endian float32. */
  readonly withVectors?: 'float' | 'base64';
}

export interface DuplicateOptions {
  /** Cosine from which two images are near-duplicates, 0..1; default 0.95. */
  readonly threshold?: number;
  /** Only among the images that match. */
  readonly filter?: Filter;
  /** true: compare all pairs; false: search by the graph; default: true up to 20,000 images. */
  readonly exact?: boolean;
  /** Pairs given at most, the most similar; default 1000. */
  readonly maxPairs?: number;
}

/** The result of a job `duplicates`. */
export interface DuplicateReport {
  /** Images that were compared. */
  readonly images: number;
  /** Images connected by pairs, largest group first. */
  readonly groups: readonly {
    readonly ids: readonly string[];
    readonly pairs: readonly { readonly a: string; readonly b: string; readonly score: number }[];
  }[];
  /** Pairs there are, given or not. */
  readonly pairs: number;
  /** Whether all pairs were compared. */
  readonly exact: boolean;
}

export interface ClassifyOptions extends NeighbourOptions {
  /** Metadata field that holds the label. */
  readonly field: string;
  /** A vote weighs exp(cosine / temperature); default 0.07. */
  readonly temperature?: number;
}

/** How the objects of images are found and stored with them. */
export interface ObjectSetting {
  readonly method: 'maskcut' | 'tokencut' | 'lost' | 'deep-spectral';
  /** Most objects kept, 1..10; default 3. `tokencut` and `lost` find one at most. */
  readonly max?: number;
}

export interface PutOptions {
  /** Default: objects are not looked for. */
  readonly objects?: ObjectSetting;
}

export interface BatchOptions extends PutOptions {
  /** `skip`: an image under a new id is not stored where its content is in the collection. Default `keep`. */
  readonly onDuplicate?: 'keep' | 'skip';
}

export interface ImageToStore {
  readonly image: ImageBytes;
  /** Default: the SHA-256 of the image. */
  readonly id?: string;
  readonly metadata?: Metadata;
}

export interface ListOptions {
  /** A condition on metadata. */
  readonly filter?: Filter;
  /** Images per request, 1..1000; default 1000. */
  readonly pageSize?: number;
}

/** A vector that was made elsewhere, without its image. */
export interface VectorToStore {
  readonly id: string;
  /** As long as the collection's dimension, of any length but zero. */
  readonly vector: Float32Array;
  readonly metadata?: Metadata;
}

export interface FeatureOptions {
  /** Default: the server's. */
  readonly model?: string;
}

export interface AttentionOptions extends FeatureOptions {
  /** Longer side in px at which the model looks at the image, 16..1024; default: the model's. */
  readonly size?: number;
  /** One head, or `all` (the default). */
  readonly head?: number | 'all';
  /** One map of attention rollout over all blocks instead of the last block's heads; default false. */
  readonly rollout?: boolean;
}

export interface AttentionPictureOptions extends AttentionOptions {
  /** Lay the heat map over the image; default false. */
  readonly overlay?: boolean;
  /** Share of the heat map in an overlay's colour, 0..1; default 0.6. */
  readonly opacity?: number;
}

export interface MaskOptions extends FeatureOptions {
  /** Longer side in px at which the model looks at the image, 16..1024; default: the model's. */
  readonly size?: number;
  /** Default: `point` or `box` where one is given, else `attention`. */
  readonly method?: 'attention' | 'tokencut' | 'lost' | 'maskcut' | 'deep-spectral' | 'point' | 'box';
  /** For `attention`: share of the attention mass that a mask holds, 0..1; default 0.6. */
  readonly threshold?: number;
  /** For `tokencut` and `maskcut`: cosine above which two patches are alike, -1..1; default 0.2 and 0.15. */
  readonly tau?: number;
  /** For `maskcut` and `deep-spectral`: most masks wanted, 1..10; default 3. */
  readonly objects?: number;
  /** For `point`: a place on the object, `x,y` in px of the image. */
  readonly point?: string;
  /** For `box`: where the object is, `x,y,width,height` in px of the image. */
  readonly box?: string;
  /** Whether the edges of the masks are moved to those of the photo; default `none`. */
  readonly refine?: 'none' | 'bilateral';
  /** For `attention`: one head; `best` (the default); `union` of all; or `all`, a mask each. */
  readonly head?: number | 'best' | 'union' | 'all';
}

export interface MaskPictureOptions extends MaskOptions {
  /** Default `mask`: white on black. */
  readonly picture?: 'mask' | 'overlay' | 'cutout';
}

export interface CosegmentationOptions extends FeatureOptions {
  /** Longer side in px at which the model looks at the images, 16..1024; default: the model's. */
  readonly size?: number;
  /** Share that the mean squared distance has to fall below for one cluster more, 0..1; default 0.975. */
  readonly elbow?: number;
  /** Mean saliency above which a cluster is salient in an image, 0..1; default 0.065. */
  readonly saliency?: number;
  /** Share of the images in which a cluster has to be salient, 0..1; default 0.75. */
  readonly votes?: number;
  /** Most clusters, 2..14; default 14. */
  readonly clusters?: number;
  /** Whether the edges of the masks are moved to those of the photo; default `none`. */
  readonly refine?: 'none' | 'bilateral';
  /** How masks are written; default `rle`. */
  readonly format?: 'rle' | 'polygon' | 'png';
  /** What a `png` shows; default `mask`: white on black. */
  readonly picture?: 'mask' | 'overlay' | 'cutout';
}

export interface MatchOptions {
  /** Longer side in px at which the model looks at the images, 16..1024; default: the model's. */
  readonly size?: number;
  /** What of the patches is compared; default `keys` for correspondences, `patch_tokens` to explain. */
  readonly features?: 'keys' | 'patch_tokens';
  /** Compare each patch together with its surroundings; default false. */
  readonly binned?: boolean;
}

export interface CorrespondenceOptions extends MatchOptions, FeatureOptions {
  /** Pairs wanted at most, 1..4096; default 50. */
  readonly maxPairs?: number;
  /** Cosine below which a pair is left out, -1..1; default -1. */
  readonly minScore?: number;
}

export interface ExplainPictureOptions extends MatchOptions {
  /** Share of the heat map in the colour, 0..1; default 0.6. */
  readonly opacity?: number;
}

/** The patches of a whole image. */
export interface PatchTokens {
  /** Rows and columns of patches. */
  readonly grid: { readonly height: number; readonly width: number };
  /** Size of the image in px. */
  readonly width: number;
  readonly height: number;
  /** Length of one token. */
  readonly dimension: number;
  /** `values[(row * grid.width + column) * dimension + i]`. */
  readonly values: Float32Array;
}

export interface Embeddings {
  /** Name of the model that made them. */
  readonly model: string;
  /** Unit vectors, one per image in the same order. */
  readonly vectors: Float32Array[];
}

export interface EmbeddingsWithTokens extends Embeddings {
  /** One per image in the same order. */
  readonly tokens: PatchTokens[];
}
