import { resolve } from 'node:path';
import { loadConfig } from '../../config.js';
import { CATALOG, findInCatalog } from '../../models/importing/catalog.js';
import { parseHubRepository } from '../../models/download/hub-repository.js';
import { readOrigin } from '../../models/download/origin.js';
import { checkName, type InstallPlace } from '../../models/importing/install.js';
import { pullModel, type PullTarget } from '../../models/importing/pull-model.js';
import { CommandError, usageError } from '../command-error.js';
import { listenForInterrupt } from '../interruption.js';
import { InstallReport } from './install-report.js';
import { asCommandError } from './model-errors.js';
import { asModelName, installedModelsFolder, withPrecision } from './model-place.js';
import type { PullFlags } from './pull-command.js';

/** Downloads and installs a published model, telling what happens. */
export async function runPull(name: string, flags: PullFlags): Promise<void> {
  const { precision, from, replace, resize, crop, keepCheckpoint } = flags;
  const target = findTarget(name);
  const config = loadConfig(process.env, { dataDir: flags.dataDir });
  const place: InstallPlace = {
    modelsFolder: installedModelsFolder(config),
    bundledFolder: resolve(config.modelsDir),
    name: flags.name ?? withPrecision(target.modelName, precision),
    replace,
  };
  const report = new InstallReport(flags);
  const interruption = listenForInterrupt();
  try {
    await checkName(place);
    const installed = await pullModel(target, {
      place,
      origin: await readOrigin(from),
      precision,
      size: { resize, crop },
      keepCheckpoint,
      hubToken: process.env.HF_TOKEN,
      signal: interruption.signal,
      on: {
        download: (fileName, done, total) => report.progress(`downloading ${fileName}`, done, total),
        downloaded: (line) => report.say(line),
        licence: (licence) => report.licence(licence.name, licence.url),
        recognised: (shape) => report.recognised(shape),
        written: (done, total) => report.progress(`writing ${place.name}`, done, total),
        notice: (text) => report.note(text),
      },
    });
    report.installed(installed, flags);
  } catch (error) {
    report.endProgress();
    throw interrupted(asCommandError(error));
  } finally {
    interruption.stop();
  }
}

function findTarget(name: string): PullTarget & { readonly modelName: string } {
  const entry = findInCatalog(name);
  if (entry?.name === name) return { kind: 'published', entry, modelName: name };
  const repository = parseHubRepository(name);
  if (repository !== undefined) {
    return { kind: 'hub', repository, entry, modelName: asModelName(repository.name) };
  }
  if (name.startsWith('dinov3')) {
    throw usageError(
      `the weights of DINOv3 are given to those alone who ask for them: do so at https://ai.meta.com/resources/models-and-libraries/dinov3-downloads/ and run dino models import FILE; or accept the licence on the Hugging Face hub and pull the repository, e.g. facebook/dinov3-vits16-pretrain-lvd1689m, with HF_TOKEN`,
    );
  }
  throw usageError(
    `there is no published model ${name}. There are: ${CATALOG.map((each) => each.name).join(', ')}; or owner/name of a Hugging Face repository`,
  );
}

/** What is downloaded is kept, whatever ended the command. */
function interrupted(error: unknown): unknown {
  if (!(error instanceof CommandError) || error.exitCode !== 130) return error;
  const message = `${error.message}; what is downloaded is kept, the same command goes on from there`;
  return new CommandError(message, { exitCode: 130, cause: error });
}
