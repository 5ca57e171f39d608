import { access, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { loadConfig } from '../../config.js';
import { checkpointDigest } from '../../models/importing/checkpoint-digest.js';
import { readLicence, type Licence } from '../../models/download/model-card.js';
import { checkNormalisation } from '../../models/importing/hub-preprocessing.js';
import { importModel } from '../../models/importing/import-model.js';
import { installFolder } from '../../models/importing/install-folder.js';
import { checkName, type InstallPlace } from '../../models/importing/install.js';
import { usageError } from '../command-error.js';
import { explain } from '../image-files.js';
import { listenForInterrupt } from '../interruption.js';
import type { ImportModelFlags } from './import-model-command.js';
import { InstallReport } from './install-report.js';
import { asCommandError } from './model-errors.js';
import { installedModelsFolder, nameFromPath, withPrecision } from './model-place.js';

/** Installs a model from files of this machine, telling what happens. */
export async function runImport(path: string, flags: ImportModelFlags): Promise<void> {
  const { arch, patchSize, heads, precision, resize, crop, replace } = flags;
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
    if (isFolder && (await isThere(join(path, 'manifest.json')))) {
      refuseConversion(flags);
      report.installed(await installFolder(path, place, interruption.signal), flags);
      return;
    }
    if (isFolder) await checkNormalisation(path);
    const licence = await licenceOf(path, flags.licence, isFolder);
    report.licence(licence.name, licence.url);
    const installed = await importModel({
      path,
      place,
      precision,
      arch,
      patchSize,
      heads,
      key: flags.student === true ? 'student' : flags.teacher === true ? 'teacher' : undefined,
      size: { resize, crop },
      source: { from: basename(resolve(path)), sha256: await checkpointDigest(path, interruption.signal) },
      licence: licence.name,
      licenceUrl: licence.url,
      onRecognised: (shape) => report.recognised(shape),
      onNote: (text) => report.note(text),
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

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What a model folder says of itself stands. */
function refuseConversion({
  precision,
  arch,
  patchSize,
  heads,
  resize,
  crop,
  licence,
}: ImportModelFlags): void {
  if (precision === 'fp32' && [arch, patchSize, heads, resize, crop, licence].every((v) => v === undefined))
    return;
  throw usageError(
    'a folder with manifest.json is installed as it is: give --name and --replace alone, or the checkpoint it was made of',
  );
}

async function licenceOf(path: string, given: string | undefined, isFolder: boolean): Promise<Licence> {
  if (given !== undefined) return { name: given };
  const card = isFolder ? await readFile(join(path, 'README.md'), 'utf8').catch(() => '') : '';
  return readLicence(card) ?? { name: 'unknown' };
}
