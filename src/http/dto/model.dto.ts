export interface ModelResource {
  /** Name, as requests give it. */
  id: string;
  object: 'model';
  /** Whether it is the one used where a request names none; that one is always loaded. */
  default: boolean;
  /**
   * `available`: its first use loads it; `loading`: read, checked and warmed up; `ready`: in memory and warm;
   * `unloading`: the requests that use it are finished; `failed`: it could not be loaded, and the next use tries again.
   */
  status: 'available' | 'loading' | 'ready' | 'unloading' | 'failed';
  /** Why it could not be loaded; null unless it failed. */
  reason: string | null;
  /** `bundled`: the service brought it along; `installed`: pulled or imported into the data folder. */
  source: 'bundled' | 'installed';
  /** SHA-256 of the model's file. Collections are pinned to it. */
  fingerprint: string;
  /** Length of an embedding. */
  dimension: number;
  /** Side in px of what a patch, or a cell of the last feature map, stands for. */
  patchSize: number;
  /** Heads of the attention maps; 0 for a model without attention. */
  heads: number;
  /**
   * What it can be asked for: `embedding` always; `attention` for attention maps and masks from attention; `keys` for
   * the masks of TokenCut and LOST; `patch_tokens`.
   */
  outputs: ('embedding' | 'patch_tokens' | 'attention' | 'keys')[];
  /** SPDX identifier, or the licence's name; `unknown` where nobody said. */
  licence: string;
  /** Memory of its processes after their last batches, in bytes; 0 while it is not loaded. */
  memoryBytes: number;
  /** The manifest beside the weights: architecture, preprocessing, outputs, measured accuracy, training, licence. */
  manifest: { [key: string]: unknown };
}

/** A folder among the models that can't be used. */
export interface UnusableModel {
  /** The folder's name. */
  name: string;
  /** `bundled`: the service brought it along; `installed`: it lies in the data folder. */
  source: 'bundled' | 'installed';
  /** What is wrong with it. */
  reason: string;
}

export interface ModelListResponse {
  object: 'list';
  /** In ascending order of name. */
  data: ModelResource[];
  /** Folders that are no models of use: damaged, or of a name that another model has. */
  unusable: UnusableModel[];
}
