import { cpus } from 'node:os';
import { ModelProcesses, type ModelProcessesOptions } from './model-processes.js';
import { RUNTIME_VERSION } from './runtime-version.js';

/**
 * Opens a model and embeds one image a few times.
 *
 * @returns seconds of a run
 * @throws Error when it can't be opened or run
 */
export async function embeddingSeconds(options: Omit<ModelProcessesOptions, 'workers'>): Promise<number> {
  const processes = await ModelProcesses.open({ ...options, workers: 1 });
  try {
    return (await processes.measure(1)).seconds;
  } finally {
    await processes.close();
  }
}

/** What the speed of a model depends on beside its file: the processor, its threads, ONNX Runtime's version. */
export function machineType(): string {
  const processors = cpus();
  return `${process.platform} ${process.arch} ${processors[0]?.model} x${processors.length} onnxruntime ${RUNTIME_VERSION}`;
}
