export interface ModelResource {
  /** Name, as requests give it. */
  id: string;
  object: 'model';
  /** Whether it is the one used where a request names none. */
  default: boolean;
  /** SHA-256 of the model's file. */
  fingerprint: string;
  /** Length of an embedding. */
  dimension: number;
  /** Side of a patch in px. */
  patchSize: number;
  /** Attention heads per block. */
  heads: number;
  /** The manifest beside the weights: architecture, preprocessing, outputs, measured accuracy, training, licence. */
  manifest: { [key: string]: unknown };
}

export interface ModelListResponse {
  object: 'list';
  data: ModelResource[];
}
