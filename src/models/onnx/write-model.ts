import { join } from 'node:path';
import { encodeModel, type DataPlace } from './encode-model.js';
import { HashedFile, type FinishedFile } from './hashed-file.js';
import type { OnnxSource, Precision } from './onnx-model.js';
import type { Weight } from './weight.js';

export const MODEL_FILE = 'model.onnx';
export const DATA_FILE = 'model.onnx.data';
/** Key of the SHA-256 of the data file in the model's metadata_props: the model's own then covers its weights. */
export const WEIGHTS_SHA256 = 'weights_sha256';

/** Protobuf ends at 2 GiB; what isn't weights takes a few MB at most. */
const PROTOBUF_LIMIT = 2 ** 31 - 64 * 2 ** 20;
/** Offsets are multiples of a page, so that a runtime can map the file. */
const PAGE_BYTES = 4096;
/** Smaller weights stay in the model: shapes and the like must be readable without the data. */
const SMALLEST_EXTERNAL_BYTES = 1024;

export interface ModelFile extends FinishedFile {
  readonly opset: number;
  readonly precision: Precision;
  /** The weights, where they are too many for one protobuf file. */
  readonly data?: FinishedFile;
}

export interface WriteModelOptions {
  /** Weights of more bytes than this lie in a data file; default a little under 2 GiB. */
  readonly externalDataAbove?: number;
  /** Called with the bytes of weights written so far, and of all. */
  readonly onProgress?: (bytes: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Writes `model.onnx` into a folder, and `model.onnx.data` when the weights are too many; one weight at a time is in memory.
 *
 * @returns once both are on the disk
 * @throws ModelWriteError when the disk is full or refuses; CheckpointError of a weight that can't be read; the signal's
 * reason. Nothing is left behind.
 */
export async function writeModel(
  source: OnnxSource,
  folder: string,
  options: WriteModelOptions = {},
): Promise<ModelFile> {
  const { externalDataAbove = PROTOBUF_LIMIT, onProgress, signal } = options;
  const model = source.toModel();
  const total = model.weights.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let written = 0;
  const files: HashedFile[] = [];
  const create = async (name: string) => {
    const file = await HashedFile.create(join(folder, name), signal);
    files.push(file);
    return file;
  };
  const writeWeight = async (weight: Weight, file: HashedFile) => {
    signal?.throwIfAborted();
    await file.write(await weight.load());
    written += weight.byteLength;
    onProgress?.(written, total);
  };

  try {
    const places = new Map<Weight, DataPlace>();
    let data: FinishedFile | undefined;
    if (total > externalDataAbove) {
      const file = await create(DATA_FILE);
      for (const weight of model.weights) {
        if (weight.byteLength < SMALLEST_EXTERNAL_BYTES) continue;
        await file.alignTo(PAGE_BYTES);
        places.set(weight, { location: DATA_FILE, offset: file.bytes });
        await writeWeight(weight, file);
      }
      data = await file.finish();
    }
    const file = await create(MODEL_FILE);
    const metadata: Record<string, string> = data === undefined ? {} : { [WEIGHTS_SHA256]: data.sha256 };
    for (const part of encodeModel(model, places, metadata)) {
      if (part instanceof Uint8Array) await file.write(part);
      else await writeWeight(part, file);
    }
    const opset = model.skeleton.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx');
    return {
      ...(await file.finish()),
      opset: Number(opset?.version ?? 0),
      precision: model.precision,
      ...(data && { data }),
    };
  } catch (error) {
    await Promise.all(files.map((file) => file.discard()));
    throw error;
  }
}
