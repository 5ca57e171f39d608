import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { findModelFolders, readManifest } from './model-folder.js';
import type { Manifest } from './manifest.js';

/** `bundled`: the service brought it along. `installed`: pulled or imported into the data folder. */
export type ModelSource = 'bundled' | 'installed';

export interface ModelFolders {
  /** Folder of the models that the service brings along. */
  readonly bundled: string;
  /** Folder of the models that were installed; need not be there. */
  readonly installed: string;
}

export interface FoundModel {
  readonly folder: string;
  readonly source: ModelSource;
  readonly manifest: Manifest;
}

/** A folder that looks like a model's and can't be used. */
export interface UnusableModel {
  /** The folder's. */
  readonly name: string;
  readonly folder: string;
  readonly source: ModelSource;
  readonly reason: string;
}

export interface ScannedModels {
  /** No two of one name: a bundled model hides an installed one. */
  readonly found: readonly FoundModel[];
  readonly unusable: readonly UnusableModel[];
}

/** Reads the manifests of all models. @throws Error when a folder of models can't be read */
export async function scanModels({ bundled, installed }: ModelFolders): Promise<ScannedModels> {
  const found = new Map<string, FoundModel>();
  const unusable: UnusableModel[] = [];
  const places: [string, ModelSource][] = [];
  if (bundled !== installed) places.push([bundled, 'bundled']);
  if (await exists(installed)) places.push([installed, 'installed']);
  for (const [parent, source] of places) {
    for (const folder of await findModelFolders(parent)) {
      const name = basename(folder);
      try {
        const manifest = await readManifest(folder);
        check(name, manifest, found.get(name));
        found.set(name, { folder, source, manifest });
      } catch (error) {
        unusable.push({ name, folder, source, reason: (error as Error).message });
      }
    }
  }
  return { found: [...found.values()], unusable };
}

function check(name: string, manifest: Manifest, namesake: FoundModel | undefined): void {
  if (manifest.name !== name) {
    throw new Error(`its manifest is that of ${manifest.name}: a model's folder has the model's name`);
  }
  if (namesake !== undefined) {
    throw new Error(
      `${namesake.folder} is a model of the same name, and goes before it: give this one another`,
    );
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
