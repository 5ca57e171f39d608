import { CheckpointError } from '../../models/checkpoints/checkpoint-error.js';
import { DownloadError } from '../../models/download/download-error.js';
import { explainDiskError } from '../../models/download/disk-error.js';
import { InstallError } from '../../models/importing/install-error.js';
import { ModelWriteError } from '../../models/onnx/model-write-error.js';
import { CommandError } from '../command-error.js';

const EXPECTED = [CheckpointError, DownloadError, InstallError, ModelWriteError];

/** What went wrong as the one line that ends the command; what nobody foresaw as it is. */
export function asCommandError(error: unknown): unknown {
  if (EXPECTED.some((kind) => error instanceof kind)) {
    return new CommandError((error as Error).message, { cause: error });
  }
  const { path } = error as NodeJS.ErrnoException;
  const explained = path === undefined ? undefined : explainDiskError(error, path);
  return explained === undefined ? error : new CommandError(explained, { cause: error });
}
