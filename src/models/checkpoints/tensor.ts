/** What the elements of a stored tensor are. */
export type DType =
  'float64' | 'float32' | 'float16' | 'bfloat16' | 'int64' | 'int32' | 'int16' | 'int8' | 'uint8' | 'bool';

/** A tensor that is read when it is needed. */
export interface LazyTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /**
   * Row-major, contiguous, converted to float32 whatever it is stored as.
   *
   * @throws CheckpointError when the bytes are missing or damaged
   */
  load(): Promise<Float32Array>;
}

/** Tensors by name, e.g. `blocks.0.attn.qkv.weight`. */
export type StateDict = ReadonlyMap<string, LazyTensor>;
