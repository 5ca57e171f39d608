import { z } from 'zod';
import { keptMeasurement } from '../kept-measurement.js';
import { ModelProcesses, threadsOfEach, type ModelProcessesOptions } from './model-processes.js';

const measuredArrangement = z.object({
  workers: z.number().int().positive(),
  threads: z.number().int().positive(),
  maxBatch: z.number().int().positive(),
  imagesPerSecond: z.number().positive(),
  batchSeconds: z.number().positive(),
});

/** How a model shares the cores, and how fast it was so. */
export type Arrangement = Readonly<z.infer<typeof measuredArrangement>>;

export interface CalibrationOptions extends Omit<ModelProcessesOptions, 'workers'> {
  /** ONNX Runtime threads per process; 0: as many as share the cores out. */
  readonly threads: number;
  /** Images per batch at most. */
  readonly maxBatch: number;
  /** Cores that there are. */
  readonly cores: number;
  /** Memory in bytes that the weights may take, once for each process. */
  readonly memoryBytes: number;
  /** What the speed depends on beside the file and these options. */
  readonly machine: string;
  /** Folder that arrangements are kept in from one start to the next. */
  readonly keptIn: string;
}

/** What is slower by no more than this counts as fast as the fastest. */
const NEARLY = 0.93;

/**
 * Opens a model with as many processes, threads and images per batch as are best for embeddings on this machine: of what is
 * nearly as fast as the fastest, that whose batch takes the least time, since an image waits for the batch before its own
 * and for its own. Twice as many processes with half of the threads are tried as long as it is faster. Measured once
 * for each file and machine, and kept.
 *
 * @throws Error when the model can't be opened or run
 */
export async function openCalibrated(
  options: CalibrationOptions,
): Promise<{ processes: ModelProcesses; arrangement: Arrangement }> {
  const { manifest, machine, threads, maxBatch, cores, memoryBytes, providers, keptIn } = options;
  let last: ModelProcesses | undefined;
  const open = async (workers: number): Promise<ModelProcesses> => {
    await last?.close();
    last = undefined;
    return (last = await ModelProcesses.open({
      ...options,
      workers,
      threads: threadsOfEach(workers, threads, cores),
    }));
  };
  try {
    const arrangement = await keptMeasurement(
      [machine, manifest.file.sha256, providers.join(), [threads, maxBatch, cores, memoryBytes].join()],
      { folder: keptIn, schema: measuredArrangement, measure: async () => best(await tryAll(open, options)) },
    );
    const processes = last?.count === arrangement.workers ? last : await open(arrangement.workers);
    return { processes, arrangement };
  } catch (error) {
    await last?.close();
    throw error;
  }
}

async function tryAll(
  open: (workers: number) => Promise<ModelProcesses>,
  options: CalibrationOptions,
): Promise<Arrangement[]> {
  const { manifest, maxBatch, cores, memoryBytes } = options;
  const mostWorkers = Math.min(cores, Math.floor(memoryBytes / manifest.file.bytes));
  const tried: Arrangement[] = [];
  for (let workers = 1; workers === 1 || workers <= mostWorkers; workers *= 2) {
    const processes = await open(workers);
    const before = fastestOf(tried);
    for (let batch = 1; batch <= maxBatch; batch *= 2) {
      const { imagesPerSecond, seconds } = await processes.measure(batch);
      const threads = threadsOfEach(workers, options.threads, cores);
      tried.push({ workers, threads, maxBatch: batch, imagesPerSecond, batchSeconds: seconds });
    }
    if (fastestOf(tried) === before) break;
  }
  return tried;
}

function best(tried: readonly Arrangement[]): Arrangement {
  const enough = fastestOf(tried) * NEARLY;
  const [first] = tried
    .filter(({ imagesPerSecond }) => imagesPerSecond >= enough)
    .sort((a, b) => a.batchSeconds - b.batchSeconds);
  return first!;
}

function fastestOf(tried: readonly Arrangement[]): number {
  return Math.max(0, ...tried.map(({ imagesPerSecond }) => imagesPerSecond));
}
