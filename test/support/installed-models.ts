import { cp, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importModel } from '#dino/models/importing/import-model.js';
import type { Manifest } from '#dino/models/manifest.js';

const BUNDLED = fileURLToPath(new URL('../../models', import.meta.url));
const CHECKPOINTS = fileURLToPath(new URL('../golden/checkpoints', import.meta.url));

/** Tiny networks with random weights: a ViT, an XCiT, and a ResNet without attention, keys and heads. */
export type TinyCheckpoint = 'vit-huggingface' | 'resnet.pth' | 'xcit-p16.pth';

/** Imports a tiny checkpoint as `dino models import` would. */
export async function installTiny(
  dataDir: string,
  name: string,
  checkpoint: TinyCheckpoint,
): Promise<Manifest> {
  const path = join(CHECKPOINTS, checkpoint);
  const { manifest } = await importModel({
    path,
    precision: 'fp32',
    place: { modelsFolder: join(dataDir, 'models'), name, bundledFolder: BUNDLED, replace: false },
    size: {},
    source: { from: basename(path), sha256: '0'.repeat(64) },
    licence: 'Apache-2.0',
  });
  return manifest;
}

/** Copies an installed model to another name: the same file, and so the same fingerprint. */
export async function copyModel(dataDir: string, from: string, to: string): Promise<void> {
  const target = join(dataDir, 'models', to);
  await cp(join(dataDir, 'models', from), target, { recursive: true });
  await editManifest(target, (manifest) => ({ ...manifest, name: to }));
}

export async function editManifest(folder: string, change: (manifest: Manifest) => object): Promise<void> {
  const path = join(folder, 'manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Manifest;
  await writeFile(path, JSON.stringify(change(manifest)));
}
