import type { Command } from 'commander';
import { integer } from '../option-values.js';
import { addInstallOptions, type InstallFlags } from './import-options.js';

export interface ImportModelFlags extends InstallFlags {
  readonly arch?: string;
  readonly patchSize?: number;
  readonly heads?: number;
  readonly licence?: string;
  readonly teacher?: boolean;
  readonly student?: boolean;
}

/** `dino models import`: a checkpoint of one's own as a model of the service. */
export function addImportModelCommand(models: Command): void {
  const command = models
    .command('import')
    .description(
      'Install a model from a PyTorch or safetensors checkpoint, a Hugging Face folder or an ONNX file',
    )
    .argument('<path>', 'checkpoint (.pth, .pt, .bin, .safetensors), folder with config.json, or .onnx')
    .option('--arch <name>', 'what it is, e.g. vit_small; default: recognised by its tensors')
    .option('--patch-size <px>', 'side of its patches; default: recognised', integer(1, 128))
    .option('--heads <n>', 'attention heads; default: known by the width', integer(1, 128))
    .option('--teacher', "take a training checkpoint's teacher; the default where it has one")
    .option('--student', "take a training checkpoint's student")
    .option('--licence <text>', "licence of the weights; default: the model card's, or unknown");
  addInstallOptions(command)
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, flags: ImportModelFlags) => {
      // The libraries of networks and graphs take a second to load: only here.
      const { runImport } = await import('./run-import.js');
      return runImport(path, flags);
    });
}

const EXAMPLES = `
Examples:
  $ dino models import dino_deitsmall16_pretrain.pth --name dino-vits16
  $ dino models import runs/mine/checkpoint.pth --teacher --licence CC-BY-4.0
  $ dino models import dinov2-small/ --precision int8
`;
