import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, readFile, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { finishDino, runDino, runDinoJson, spawnDino, type DinoOptions } from '../cli/dino-process.js';
import { makeFolder } from '../cli/photo-folder.js';
import { vitShapes, writeBlankCheckpoint } from '../support/blank-checkpoint.js';
import { FileServer } from '../support/file-server.js';

const TINY = fileURLToPath(new URL('../golden/checkpoints/vit-zip.pth', import.meta.url));

let root: string;
let modelsFolder: string;
let options: DinoOptions;
beforeEach(async () => {
  root = await makeFolder();
  modelsFolder = join(root, 'data/models');
  options = { environment: { DINO_DATA_DIR: join(root, 'data') } };
  await runDinoJson(['models', 'import', TINY, '--heads', '2', '--name', 'before'], options);
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** What the service sees: the models that are installed, each whole. */
async function expectModels(...names: string[]): Promise<void> {
  const verified = await runDinoJson(['models', 'verify'], options);
  const bundled = await readdir(fileURLToPath(new URL('../../models', import.meta.url)));
  expect(verified).toEqual([...bundled, ...names].map((model) => ({ model, status: 'ok' })));
}

/** Waits until something holds of a folder; looks again at each change in it. */
function until(folder: string, holds: () => Promise<boolean>): Promise<void> {
  return new Promise((resolve) => {
    const look = async () => {
      if (!(await holds())) return;
      watcher.close();
      resolve();
    };
    const watcher = watch(folder, () => void look());
    void look();
  });
}

/** Starts a command and kills it as soon as it has begun to write a model. @returns what it leaves behind */
async function killWhileItWrites(args: readonly string[], name: string): Promise<string> {
  const child = spawnDino(args, options);
  const ended = once(child, 'exit');
  const staging = `.installing-${name}-${child.pid}`;
  await until(modelsFolder, async () => (await readdir(modelsFolder)).includes(staging));
  child.kill('SIGKILL');
  await ended;
  return staging;
}

describe('an import that is killed midway', () => {
  it('leaves the models as they were, and the next one removes what it has left', async () => {
    const large = join(root, 'large.safetensors');
    await writeBlankCheckpoint(large, vitShapes({ width: 768, depth: 12, patch: 16 }));
    const staging = await killWhileItWrites(['models', 'import', large], 'large');
    expect(await readdir(modelsFolder)).toEqual([staging, 'before']);
    await expectModels('before');

    await runDinoJson(['models', 'import', TINY, '--heads', '2', '--name', 'after'], options);
    expect(await readdir(modelsFolder)).toEqual(['after', 'before']);
    await expectModels('after', 'before');
  });

  it('leaves the model alone that it was to replace', async () => {
    const manifest = join(modelsFolder, 'before/manifest.json');
    const old = await readFile(manifest, 'utf8');
    const large = join(root, 'large.safetensors');
    await writeBlankCheckpoint(large, vitShapes({ width: 768, depth: 12, patch: 16 }));
    await killWhileItWrites(['models', 'import', large, '--name', 'before', '--replace'], 'before');
    expect(await readFile(manifest, 'utf8')).toBe(old);
    await expectModels('before');
  });
});

describe('a pull that is killed midway', () => {
  let server: FileServer;
  let args: string[];
  beforeEach(async () => {
    server = await FileServer.start();
    const path = join(root, 'model.safetensors');
    await writeBlankCheckpoint(path, vitShapes({ width: 192, depth: 2, patch: 16 }));
    const base = 'someone/small-dino/resolve/main/';
    server.put(`${base}config.json`, Buffer.from('{}'));
    const bytes = await readFile(path);
    server.put(`${base}model.safetensors`, bytes, { faults: [{ stallAfter: bytes.length / 2 }] });
    args = ['models', 'pull', 'someone/small-dino', '--from', server.url, '--crop', '32'];
  });
  afterEach(() => server.stop());

  it('leaves the models as they were, and the same command goes on from there', async () => {
    const downloads = join(modelsFolder, '.downloads/someone--small-dino');
    await mkdir(downloads, { recursive: true });
    const child = spawnDino(args, options);
    const finished = finishDino(child);
    await server.stalled;
    const part = join(downloads, 'model.safetensors.part');
    await until(downloads, async () => (await stat(part).catch(() => ({ size: 0 }))).size > 0);
    child.kill('SIGKILL');
    await finished;
    await expectModels('before');

    expect(await runDino(args, options)).toMatchObject({ code: 0, stderr: '' });
    const requests = server.requests.filter(({ path }) => path.endsWith('model.safetensors'));
    expect(requests.map(({ headers }) => headers.range)).toEqual([
      undefined,
      expect.stringMatching(/^bytes=[1-9]\d+-$/),
    ]);
    expect(await readdir(modelsFolder)).toEqual(['before', 'checksums.json', 'small-dino']);
    await expectModels('before', 'small-dino');
  });
});
