import type { AskedFeature } from './features.js';

/** Where a model's process has its end of the socket. */
export const SOCKET_FD = 3;

/** Which model, and how ONNX Runtime opens it. */
export interface SessionSettings {
  /** Path of the ONNX file. */
  readonly modelPath: string;
  /** SHA-256 of the ONNX file. */
  readonly sha256: string;
  /** Blocks of the model. */
  readonly blocks: number;
  /** ONNX Runtime's threads inside one operator. */
  readonly threads: number;
  readonly providers: readonly string[];
  /** For which embeddings a graph of their own is used; without it the file's graph computes them. */
  readonly embeddings?: EmbeddingGraphSettings;
}

export interface EmbeddingGraphSettings {
  /** Side in px of the square images that embeddings are made of. */
  readonly side: number;
  /** Folder that the graphs are kept in from one start to the next; made when it isn't there. */
  readonly cacheDir: string;
}

/** One batch; its pixels are the payload of its frame, image after image, `height * width * 3` bytes each. */
export interface BatchTask {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly names: readonly AskedFeature[];
}

export interface BatchAnswer {
  /** How many numbers there are of each feature; they are the payload of its frame, one feature after the other. */
  readonly outputs: readonly { readonly name: AskedFeature; readonly length: number }[];
  /** Time of the model's run. */
  readonly seconds: number;
  /** Memory that the process holds. */
  readonly memoryBytes: number;
}

/** To the model's process; each is answered in turn. */
export type SessionRequest = { readonly open: SessionSettings } | { readonly run: BatchTask };

/** From the model's process. */
export type SessionReply =
  | { readonly opened: true }
  | { readonly answer: BatchAnswer }
  | { readonly failure: string; /** The model can't do what is asked for. */ readonly isRefusal?: true };
