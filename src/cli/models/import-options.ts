import { Option, type Command } from 'commander';
import type { Precision } from '../../models/onnx/graph-builder.js';
import { integer } from '../option-values.js';

/** What `pull` and `import` have in common. */
export interface InstallFlags {
  readonly name?: string;
  readonly precision: Precision;
  readonly replace: boolean;
  readonly dataDir?: string;
  readonly modelsDir?: string;
  readonly resize?: number;
  readonly crop?: number;
  readonly json: boolean;
}

/** Adds the options of an installation. */
export function addInstallOptions(command: Command): Command {
  return command
    .option('--name <name>', 'name to install it under')
    .addOption(
      new Option('--precision <kind>', 'of the weights').choices(['fp32', 'fp16', 'int8']).default('fp32'),
    )
    .option(
      '--resize <px>',
      'shorter side before the crop of embeddings; default: 8/7 of the crop',
      integer(1, 4096),
    )
    .option('--crop <px>', 'centre crop of embeddings; default: 224', integer(1, 4096))
    .option('--replace', 'put it in the place of an installed model of this name', false)
    .option('--data-dir <path>', 'data folder, where it is installed (environment: DINO_DATA_DIR)')
    .option('--json', 'print what was installed as JSON', false);
}
