import type { ModelProto } from './generated/onnx_pb.js';
import type { Weight } from './weight.js';

export type Precision = 'fp32' | 'fp16' | 'int8';

/** Opset of the graphs built here: Resize learnt to antialias in 18. */
export const OPSET = 18;
/** IR version of the files written here: the oldest that opset 18 came with, so that old runtimes read them. */
export const IR_VERSION = 8;

/** A model whose weights are loaded one at a time while it is written. */
export interface OnnxModel {
  /** Everything but `weights`. */
  readonly skeleton: ModelProto;
  /** Initializers of the graph that come from elsewhere. */
  readonly weights: readonly Weight[];
  readonly precision: Precision;
}

/** Anything that can be written as an ONNX file. */
export interface OnnxSource {
  toModel(): OnnxModel;
}
