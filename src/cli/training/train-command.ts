import type { Command } from 'commander';
import { integer } from '../option-values.js';
import type { PythonOptions } from './python-environment.js';

export interface TrainFlags extends PythonOptions {
  readonly name?: string;
  readonly maxMinutes?: string;
  readonly labelled?: [string, string];
  readonly crop?: number;
  readonly licence: string;
  readonly dataDir?: string;
  readonly replace: boolean;
  readonly json: boolean;
}

/** `dino train`: from a folder of photos to a model that the server lists. */
export function addTrainCommand(program: Command): void {
  program
    .command('train')
    .description('Train a model on photos, measure it, export it and install it')
    .argument('<photos...>', 'folders of photos, or WebDataset shards; then any option of scripts/train.py')
    .option('--name <name>', "of the model; default: the first folder's")
    .option('--max-minutes <n>', 'train no longer than this now; the same command goes on later')
    .option(
      '--labelled <folders...>',
      'two folders with a sub-folder per class, to measure k-NN from the first to the second; default: the photos, where they are in sub-folders',
    )
    .option('--crop <px>', 'centre crop of embeddings; default: the one of training', integer(1, 4096))
    .option('--licence <text>', 'licence of the weights', 'unknown')
    .option('--replace', 'put it in the place of an installed model of this name', false)
    .option('--data-dir <path>', 'data folder, where it is installed (environment: DINO_DATA_DIR)')
    .option(
      '--python <path>',
      'a Python that has PyTorch; default: .venv, which is made where it is not there',
    )
    .option('--json', 'print what was installed as JSON', false)
    .allowUnknownOption()
    .addHelpText('after', EXAMPLES)
    .action(async (words: string[], flags: TrainFlags) => {
      // The libraries of networks and graphs take a second to load: only here.
      const { runTrain } = await import('./run-train.js');
      return runTrain(words, flags);
    });
}

const EXAMPLES = `
Ctrl-C saves and ends; the same command goes on. Without options of scripts/train.py it trains a small
network as a CPU can: see docs/training.md for others.

Examples:
  $ dino train ~/photos --name mine --max-minutes 60
  $ dino train 'shards/train-{000..012}.tar' --name mine --arch vit_small --epochs 100
`;
