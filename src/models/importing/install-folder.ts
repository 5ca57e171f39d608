import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readManifest, verifyModelFile } from '../model-folder.js';
import type { Manifest } from '../manifest.js';
import { InstallError } from './install-error.js';
import { installModel, type InstallPlace } from './install.js';
import { tryModel } from './trial-run.js';

/**
 * Installs a model folder as `scripts/export_onnx.py` writes it, with everything in it: its model card and its log.
 *
 * @param source folder with manifest.json and the files that it names
 * @throws InstallError when it is damaged, does not run, or the name is taken; nothing is left behind
 */
export function installFolder(
  source: string,
  place: InstallPlace,
  signal?: AbortSignal,
): Promise<{ readonly folder: string; readonly manifest: Manifest }> {
  return installModel(place, async (folder) => {
    const manifest = await readManifest(source).catch(refuse);
    const entries = await readdir(source, { withFileTypes: true });
    for (const entry of entries) {
      signal?.throwIfAborted();
      if (entry.isFile()) await copyFile(join(source, entry.name), join(folder, entry.name));
    }
    const modelPath = await verifyModelFile(folder, manifest).catch(refuse);
    await tryModel(manifest, modelPath);
    signal?.throwIfAborted();
    return { ...manifest, name: place.name };
  });
}

function refuse(cause: Error): never {
  throw new InstallError(`The model can't be installed: ${cause.message}.`, { cause });
}
