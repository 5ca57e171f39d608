import { open, readFile, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { clone, fromBinary } from '@bufbuild/protobuf';
import { CheckpointError } from '../../checkpoints/checkpoint-error.js';
import {
  ModelProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
  type ModelProto,
  type TensorProto,
} from '../generated/onnx_pb.js';
import type { DataPlace } from '../encode-model.js';
import type { Weight } from '../weight.js';

/** An ONNX file of somebody's: weights are kept apart, constants that tell the graph's structure stay in it. */
export interface OnnxFile {
  readonly model: ModelProto;
  readonly weights: Weight[];
  /** Weights that lie in data files, and where. */
  readonly places: ReadonlyMap<Weight, DataPlace>;
}

/** Tensors from this size on are weights. */
const SMALLEST_WEIGHT_BYTES = 4096;
/** The limit of a protobuf file. */
const LARGEST_FILE_BYTES = 2 ** 31 - 1;

/**
 * Reads an ONNX file. Weights in data files beside it stay there until they are written.
 *
 * @param onBytes called with the whole file, data files aside
 * @throws CheckpointError when it can't be read, is no ONNX file, or names data outside its folder
 */
export async function readOnnx(path: string, onBytes?: (bytes: Uint8Array) => void): Promise<OnnxFile> {
  const bytes = await readWhole(path);
  onBytes?.(bytes);
  const model = parse(bytes, path);
  const { graph } = model;
  if (graph === undefined || graph.node.length === 0) {
    throw new CheckpointError(`${path} is no ONNX file: it holds no graph. Give the file that was exported.`);
  }
  const weights: Weight[] = [];
  const places = new Map<Weight, DataPlace>();
  const kept: TensorProto[] = [];
  for (const tensor of graph.initializer) {
    if (tensor.dataLocation === DataLocation.EXTERNAL) {
      const { weight, place } = await externalWeight(tensor, path);
      weights.push(weight);
      places.set(weight, place);
    } else if (tensor.rawData.length >= SMALLEST_WEIGHT_BYTES) {
      weights.push(inlineWeight(tensor));
    } else {
      kept.push(tensor);
    }
  }
  graph.initializer = kept;
  return { model, weights, places };
}

async function readWhole(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > LARGEST_FILE_BYTES) {
      throw new CheckpointError(
        `${path} has more than the 2 GiB that an ONNX file may have: it is damaged or something else`,
      );
    }
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof CheckpointError) throw cause;
    throw new CheckpointError(`${path} can't be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  }
}

function parse(bytes: Uint8Array, path: string): ModelProto {
  try {
    // Not as a Buffer, whose type its parts would inherit.
    return fromBinary(ModelProtoSchema, new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  } catch (cause) {
    throw new CheckpointError(`${path} is no ONNX file, or one that was cut short: get it again`, { cause });
  }
}

function inlineWeight(tensor: TensorProto): Weight {
  const { rawData } = tensor;
  return { header: withoutData(tensor), byteLength: rawData.length, load: async () => rawData };
}

async function externalWeight(
  tensor: TensorProto,
  path: string,
): Promise<{ weight: Weight; place: DataPlace }> {
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const location = entries.get('location') ?? '';
  const inside = normalize(location);
  if (location === '' || isAbsolute(inside) || inside.split(sep)[0] === '..') {
    throw new CheckpointError(
      `${path} keeps the tensor ${tensor.name} in "${location}", which is not beside it: put the data file into its folder`,
    );
  }
  const data = join(dirname(path), inside);
  const size = await stat(data).then(
    (found) => found.size,
    (cause: unknown) => {
      const message = `${path} keeps weights in ${data}, which can't be read (${(cause as NodeJS.ErrnoException).code}): put it beside the ONNX file`;
      throw new CheckpointError(message, { cause });
    },
  );
  const offset = Number(entries.get('offset') ?? 0);
  const byteLength = Number(entries.get('length') ?? size - offset);
  if (!(offset >= 0 && byteLength >= 0 && offset + byteLength <= size)) {
    throw new CheckpointError(`${data} is too short for the tensor ${tensor.name}: it was cut, get it again`);
  }
  const weight = {
    header: withoutData(tensor),
    byteLength,
    load: () => readSlice(data, offset, byteLength),
  };
  return { weight, place: { location, offset } };
}

function withoutData(tensor: TensorProto): TensorProto {
  const header = clone(TensorProtoSchema, { ...tensor, rawData: new Uint8Array() });
  header.externalData = [];
  delete (header as Partial<TensorProto>).rawData;
  delete (header as Partial<TensorProto>).dataLocation;
  return header;
}

async function readSlice(path: string, offset: number, length: number): Promise<Uint8Array> {
  const handle = await open(path, 'r').catch((cause: unknown) => {
    throw new CheckpointError(`${path} can't be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
  });
  try {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await handle.read(
        bytes,
        filled,
        Math.min(length - filled, 2 ** 30),
        offset + filled,
      );
      if (bytesRead === 0) throw new CheckpointError(`${path} ends too early: it was cut, get it again`);
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}
