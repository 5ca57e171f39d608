import { access, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../../config.js';
import { checkpointDigest } from '../../models/checkpoint-digest.js';
import { readLicence, type Licence } from '../../models/download/model-card.js';
import { checkNormalisation } from '../../models/hub-preprocessing.js';
import { importModel } from '../../models/import-model.js';
import { checkName, type InstallPlace } from '../../models/install.js';
import { usageError } from '../command-error.js';
import { explain } from '../image-files.js';
import { listenForInterrupt } from '../interruption.js';
import { integer } from '../option-values.js';
import { addInstallOptions, type InstallFlags } from './import-options.js';
import { InstallReport } from './install-report.js';
import { asCommandError } from './model-errors.js';
import { installedModelsFolder, nameFromPath, withPrecision } from './model-place.js';

interface ImportModelFlags extends InstallFlags {
  readonly arch?: string;
  readonly patchSize?: number;
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
    .option('--teacher', "take a training checkpoint's teacher; the default where it has one")
    .option('--student', "take a training checkpoint's student")
    .option('--licence <text>', "licence of the weights; default: the model card's, or unknown");
  addInstallOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((path: string, flags: ImportModelFlags) => runImport(path, flags));
}

const EXAMPLES = `
Examples:
  $ dino models import dino_deitsmall16_pretrain.pth --name dino-vits16
  $ dino models import runs/mine/checkpoint.pth --teacher --licence CC-BY-4.0
  $ dino models import dinov2-small/ --precision int8
`;

async function runImport(path: string, flags: ImportModelFlags): Promise<void> {
  const { arch, patchSize, precision, resize, crop, replace } = flags;
  if (flags.teacher === true && flags.student === true) {
    throw usageError('give --teacher or --student, one of them');
  }
  await access(path).catch((cause: unknown) => {
    throw usageError(`${path}: ${explain(cause)}`, cause);
  });
  const config = loadConfig(process.env, { dataDir: flags.dataDir });
  const place: InstallPlace = {
    modelsFolder: installedModelsFolder(config),
    bundledFolder: resolve(config.modelsDir),
    name: flags.name ?? withPrecision(nameFromPath(path), precision),
    replace,
  };
  const report = new InstallReport(flags);
  const interruption = listenForInterrupt();
  try {
    await checkName(place);
    const isFolder = (await stat(path)).isDirectory();
    if (isFolder) await checkNormalisation(path);
    const licence = await licenceOf(path, flags.licence, isFolder);
    report.licence(licence.name, licence.url);
    const installed = await importModel({
      path,
      place,
      precision,
      arch,
      patchSize,
      key: flags.student === true ? 'student' : flags.teacher === true ? 'teacher' : undefined,
      size: { resize, crop },
      source: { from: basename(resolve(path)), sha256: await checkpointDigest(path, interruption.signal) },
      licence: licence.name,
      licenceUrl: licence.url,
      onRecognised: (shape) => report.recognised(shape),
      onProgress: (done, total) => report.progress(`writing ${place.name}`, done, total),
      signal: interruption.signal,
    });
    report.installed(installed, flags);
  } catch (error) {
    report.endProgress();
    throw asCommandError(error);
  } finally {
    interruption.stop();
  }
}

async function licenceOf(path: string, given: string | undefined, isFolder: boolean): Promise<Licence> {
  if (given !== undefined) return { name: given };
  const card = isFolder ? await readFile(join(path, 'README.md'), 'utf8').catch(() => '') : '';
  return readLicence(card) ?? { name: 'unknown' };
}
