import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../../config.js';
import { DinoError } from '../../errors.js';
import { createByteProgress } from '../byte-progress.js';
import { CommandError, usageError } from '../command-error.js';

interface RestoreFlags {
  readonly dataDir?: string;
  readonly replace: boolean;
  readonly json: boolean;
}

/** `dino snapshots restore`: puts a downloaded snapshot into a data folder that no server uses. */
export function addRestoreCommand(snapshots: Command): void {
  snapshots
    .command('restore')
    .description('Put a snapshot into a data folder that no server uses')
    .argument('<file>', 'the snapshot, as download has written it')
    .option('--data-dir <path>', 'data folder (environment: DINO_DATA_DIR)')
    .option('--replace', 'lose the collections that are there', false)
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nExample:\n  $ dino snapshots restore backup.tar --data-dir ./restored\n')
    .action(async (file: string, flags: RestoreFlags) => {
      const { size } = await stat(file).catch(() => {
        throw usageError(`${file} is not there`);
      });
      const dataDir = resolve(loadConfig(process.env, { dataDir: flags.dataDir }).dataDir);
      const { restoreSnapshot } = await import('../../collections/embedded/snapshots/restore-snapshot.js');
      const progress = createByteProgress({ title: 'restoring', doneBytes: 0, totalBytes: size });
      try {
        const { id, collections } = await restoreSnapshot({
          file,
          dataDir,
          replace: flags.replace,
          onProgress: (bytes) => progress.update(bytes),
        });
        progress.stop();
        const images = collections.reduce((sum, { count }) => sum + count, 0);
        process.stdout.write(
          flags.json
            ? `${JSON.stringify({ snapshot: id, dataDir, collections })}\n`
            : `${dataDir}: ${collections.length} collections with ${images} images, as of snapshot ${id}\n`,
        );
      } catch (error) {
        progress.stop();
        if (error instanceof DinoError) throw new CommandError(error.message, { cause: error });
        throw error;
      }
    });
}
