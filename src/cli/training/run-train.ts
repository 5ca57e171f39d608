import { access, mkdir, readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { loadConfig } from '../../config.js';
import { installFolder } from '../../models/importing/install-folder.js';
import { checkName, type InstallPlace } from '../../models/importing/install.js';
import { CommandError, usageError } from '../command-error.js';
import { isImageExtension } from '../image-files.js';
import { listenForInterrupt } from '../interruption.js';
import { InstallReport } from '../models/install-report.js';
import { asCommandError } from '../models/model-errors.js';
import { asModelName, installedModelsFolder } from '../models/model-place.js';
import { ensurePython, runScript, type ScriptRun } from './python-environment.js';
import type { TrainFlags } from './train-command.js';
import { CPU_RECIPE, splitWords, stepFailed } from './training-options.js';

/** The whole way from photos to an installed model. Run again it goes on where it was. */
export async function runTrain(words: readonly string[], flags: TrainFlags): Promise<void> {
  const { photos, options } = splitWords(words);
  const { labelled } = flags;
  if (labelled !== undefined && labelled.length !== 2) {
    throw usageError('--labelled takes two folders: labelled images, and those to classify by them');
  }
  if (flags.maxMinutes !== undefined && !(Number(flags.maxMinutes) > 0)) {
    throw usageError(`--max-minutes takes a positive number, not ${flags.maxMinutes}`);
  }
  for (const path of photos) if (!/[{*?]/.test(path)) await checkThere(path);
  const config = loadConfig(process.env, { dataDir: flags.dataDir });
  const name = flags.name ?? asModelName(basename(resolve(photos[0]!)).replace(/\.tar$/, ''));
  const place: InstallPlace = {
    modelsFolder: installedModelsFolder(config),
    bundledFolder: resolve(config.modelsDir),
    name,
    replace: flags.replace,
  };
  const run = join(resolve(config.dataDir), 'training', name);
  const report = new InstallReport(flags);
  const interruption = listenForInterrupt();
  const { signal } = interruption;
  try {
    await checkName(place);
    const python = await ensurePython(flags);
    const step = async (
      what: string,
      script: string,
      args: readonly string[],
      output: ScriptRun['output'],
    ) => {
      process.stderr.write(`${what}\n`);
      const { code } = await runScript({ python, script, args, output, signal });
      if (code !== 0) throw stepFailed(what);
    };
    await mkdir(run, { recursive: true });
    const model = join(run, 'model');
    const resumes = await isThere(join(run, 'checkpoint.pth'));
    const budget = flags.maxMinutes === undefined ? [] : ['--max_minutes', flags.maxMinutes];
    const training = [...CPU_RECIPE, '--data_path', ...photos, ...options, ...budget, '--output_dir', run];
    const where = `training ${name} in ${run}`;
    await step(where, 'train.py', resumes ? [...training, '--resume'] : training, 'stderr');
    const exporting = ['--checkpoint', join(run, 'checkpoint.pth'), '--name', name, '--out', model];
    exporting.push('--licence', flags.licence, '--description', `Trained on ${describePhotos(photos)}`);
    exporting.push('--parity_photos', ...photos);
    if (flags.crop !== undefined) exporting.push('--crop', String(flags.crop));
    await step('exporting, and comparing with PyTorch', 'export_onnx.py', exporting, 'stderr');
    const sets = await labelledSets(photos, labelled);
    if (sets === undefined) {
      report.say('not measured: there are no labels, which a sub-folder per class or --labelled would give');
    } else {
      const data = ['--data', name, ...sets, ...(labelled === undefined ? ['--leave_one_out'] : [])];
      await step(
        'measuring k-NN',
        'evaluate.py',
        ['knn', '--model', model, ...data, '--write_manifest'],
        flags.json ? 'stderr' : 'inherit',
      );
    }
    await step('writing the model card', 'evaluate.py', ['card', '--model', model], 'stderr');
    report.installed(await installFolder(model, place, signal), flags);
  } catch (error) {
    report.endProgress();
    if (signal.aborted && error === signal.reason && error instanceof CommandError) {
      throw new CommandError('interrupted; what was trained is saved, and the same command goes on', {
        exitCode: 130,
      });
    }
    throw asCommandError(error);
  } finally {
    interruption.stop();
  }
}

function describePhotos(photos: readonly string[]): string {
  return photos.map((path) => basename(path)).join(', ');
}

/** Folders for k-NN: the given ones, or the photos' own where each is in a sub-folder of at least two. */
async function labelledSets(
  photos: readonly string[],
  given: readonly string[] | undefined,
): Promise<readonly string[] | undefined> {
  if (given !== undefined) return given;
  const [folder, ...others] = photos;
  if (folder === undefined || others.length > 0) return undefined;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const hasLoose = entries.some((entry) => entry.isFile() && isImageExtension(entry.name.split('.').at(-1)!));
  const classes = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'));
  return hasLoose || classes.length < 2 ? undefined : [folder, folder];
}

async function checkThere(path: string): Promise<void> {
  if (!(await isThere(path))) throw usageError(`${path}: there is no such file or folder`);
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
