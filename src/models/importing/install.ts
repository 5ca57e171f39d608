import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InstallError } from './install-error.js';
import { manifestSchema, modelName, type Manifest } from '../manifest.js';
import { isOtherProcess } from './process-lock.js';

export interface InstallPlace {
  /** Folder of the installed models, `<dataDir>/models`; made where it is not there. */
  readonly modelsFolder: string;
  readonly name: string;
  /** Folder of the models that the service brings along: their names are taken. */
  readonly bundledFolder: string;
  /** Whether a model of this name gives way to the new one. */
  readonly replace: boolean;
}

/**
 * Checks that a model may be installed under its name.
 *
 * @throws InstallError when the name is not allowed or is taken
 */
export async function checkName({ modelsFolder, name, bundledFolder, replace }: InstallPlace): Promise<void> {
  if (!modelName.safeParse(name).success) {
    throw new InstallError(
      `A model can't be called ${name}: names have lower-case letters, digits, dots, dashes and underscores, 100 at most. Give another with --name.`,
    );
  }
  if (await exists(join(bundledFolder, name))) {
    throw new InstallError(
      `${name} is a model of ${bundledFolder}. Give the new one another name with --name.`,
    );
  }
  if (!replace && (await exists(join(modelsFolder, name)))) {
    throw new InstallError(
      `There is a model ${name} in ${modelsFolder} already. Give the new one another name with --name, or put it in the old one's place with --replace.`,
    );
  }
}

/**
 * Installs a model whole or not at all: it is written into a folder that no registry looks into, brought to the disk,
 * and renamed into place. What killed installations have left behind is removed first.
 *
 * @param fill writes the model's files into the folder it is given, and returns the manifest
 * @returns the model's folder
 * @throws InstallError when the name is taken; whatever `fill` throws, with nothing left behind
 */
export async function installModel(
  place: InstallPlace,
  fill: (folder: string) => Promise<Manifest>,
): Promise<{ readonly folder: string; readonly manifest: Manifest }> {
  const { modelsFolder, name } = place;
  await mkdir(modelsFolder, { recursive: true });
  await removeLeftovers(modelsFolder);
  await checkName(place);
  const staging = join(modelsFolder, `.installing-${name}-${process.pid}`);
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging);
  try {
    const manifest = manifestSchema.parse(await fill(staging));
    await writeFile(join(staging, 'manifest.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
    await syncFolder(staging);
    const folder = join(modelsFolder, name);
    await moveInto(folder, staging, place);
    return { folder, manifest };
  } catch (error) {
    await rm(staging, { recursive: true, force: true });
    throw error;
  }
}

async function moveInto(
  folder: string,
  staging: string,
  { modelsFolder, name, replace }: InstallPlace,
): Promise<void> {
  const old = join(modelsFolder, `.replaced-${name}-${process.pid}`);
  const hasOld = replace && (await exists(folder));
  if (hasOld) await rename(folder, old);
  try {
    await rename(staging, folder);
  } catch (cause) {
    if (hasOld) await rename(old, folder);
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw cause;
    throw new InstallError(`Another model ${name} was installed in the meantime; it was left as it is.`, {
      cause,
    });
  }
  await sync(modelsFolder);
  await rm(old, { recursive: true, force: true });
}

/** `.installing-<name>-<pid>` of processes that have ended, and old models whose replacement never came. */
async function removeLeftovers(modelsFolder: string): Promise<void> {
  for (const entry of await readdir(modelsFolder)) {
    const leftover = /^\.(installing|replaced)-(.+)-(\d+)$/.exec(entry);
    if (leftover === null || isOtherProcess(Number(leftover[3]))) continue;
    const path = join(modelsFolder, entry);
    const place = join(modelsFolder, leftover[2]!);
    if (leftover[1] === 'replaced' && !(await exists(place))) await rename(path, place);
    else await rm(path, { recursive: true, force: true });
  }
}

/** Brings a folder's files and the folder itself to the disk. */
async function syncFolder(folder: string): Promise<void> {
  for (const file of await readdir(folder)) await sync(join(folder, file));
  await sync(folder);
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
