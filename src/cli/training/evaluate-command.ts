import type { Command } from 'commander';
import { listenForInterrupt } from '../interruption.js';
import { ensurePython, runScript } from './python-environment.js';

/** `dino evaluate`: the evaluations of the DINO paper, by `scripts/evaluate.py`. */
export function addEvaluateCommand(program: Command): void {
  const command = program
    .command('evaluate')
    .description('Measure what the features of a checkpoint or a model are worth')
    .argument('[verb]', 'knn, linear, finetune, retrieval, copy-detection, video-segmentation, segmentation')
    .argument('[options...]', 'of the verb: dino evaluate VERB --help')
    // What follows the verb is the script's to read, its --help too.
    .helpOption(false)
    .allowUnknownOption()
    .addHelpText('after', EXAMPLES);
  command.action(async (verb: string | undefined, options: string[]) => {
    const words = verb === undefined ? options : [verb, ...options];
    if (words.length === 0 || words[0] === '--help' || words[0] === '-h') return command.outputHelp();
    const interruption = listenForInterrupt();
    try {
      const python = await ensurePython({});
      const { code } = await runScript({
        python,
        script: 'evaluate.py',
        args: words,
        output: 'inherit',
        signal: interruption.signal,
      });
      // The script has said what is wrong.
      if (code !== 0) process.exitCode = code;
    } finally {
      interruption.stop();
    }
  });
}

const EXAMPLES = `
The first call makes a Python environment with PyTorch.

Examples:
  $ dino evaluate knn --model models/dino-vitmicro16-photos --data mine photos/train photos/val
  $ dino evaluate linear --checkpoint runs/mine/checkpoint.pth --data mine photos/train photos/val
  $ dino evaluate segmentation --model data/models/dino-vits16 --data_path VOCdevkit/VOC2012
`;
