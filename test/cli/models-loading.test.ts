import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '#dino/client/dino-client.js';
import { installTiny } from '../support/installed-models.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';
import { runDino, runDinoJson } from './dino-process.js';
import { drawSmallScenes, makeFolder, writeInto } from './photo-folder.js';

let root: string;
let dataDir: string;
let server: ServerProcess | undefined;
beforeAll(async () => {
  root = await makeFolder();
  await writeInto(root, 'cat.jpg', (await drawSmallScenes(1))[0]!.bytes);
  dataDir = join(root, 'data');
  await installTiny(dataDir, 'tiny', 'vit-huggingface');
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
});
afterAll(() => rm(root, { recursive: true, force: true }));

const dino = (...args: string[]) => runDino(args, { cwd: root, environment: { DINO_DATA_DIR: dataDir } });

describe('dino models load, unload and remove', () => {
  it('act on the server of the data folder, and list shows what is loaded', async () => {
    server = await spawnServer({ dataDir });
    const rowOf = async (name: string) =>
      (await dino('models', 'list')).stdout.split('\n').find((line) => line.startsWith(name));
    expect(await rowOf('tiny')).toMatch(/^tiny +available /);
    expect(await rowOf('dino-vitmicro16-photos')).toMatch(/\(default\) +ready .*Apache-2\.0/);
    expect((await dino('models', 'load', 'tiny')).stdout).toMatch(/^tiny: ready, [\d.]+ MB of memory\n$/);
    expect(await rowOf('tiny')).toMatch(/^tiny +ready /);
    expect(await dino('models', 'unload', 'tiny')).toMatchObject({ code: 0, stdout: 'tiny: available\n' });
    expect(await rowOf('tiny')).toMatch(/^tiny +available /);
    const refused = await dino('models', 'unload', 'dino-vitmicro16-photos');
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toMatch(/^dino: .*default model.*\n$/);
  });

  it('need a server that goes on running, to load or unload', async () => {
    for (const verb of ['load', 'unload']) {
      const { code, stderr } = await dino('models', verb, 'tiny');
      expect(code).toBe(1);
      expect(stderr).toMatch(/^dino: no server runs on .*data\. Start one with dino serve, or .*--url\.\n$/);
    }
  });

  it('find installed models also where no server runs', async () => {
    const environment = { DINO_DATA_DIR: dataDir };
    const models = await runDinoJson(['models', 'list'], { cwd: root, environment });
    expect((models as { id: string }[]).map(({ id }) => id)).toEqual(['dino-vitmicro16-photos', 'tiny']);
    const { code, stdout } = await dino('embed', 'cat.jpg', '--model', 'tiny');
    expect([code, JSON.parse(stdout).model]).toEqual([0, 'tiny']);
  });

  it('remove a model that no collection needs, with a server and without', async () => {
    await installTiny(dataDir, 'other', 'resnet.pth');
    server = await spawnServer({ dataDir });
    const client = createClient({ url: server.url });
    await client.createCollection('mine', { model: 'other' });
    const kept = await dino('models', 'remove', 'other');
    expect(kept.code).toBe(1);
    expect(kept.stderr).toMatch(/^dino: The vectors of these collections are of other: mine\..*\n$/);
    await client.deleteCollection('mine');
    expect(await dino('models', 'remove', 'other')).toMatchObject({ code: 0, stdout: 'other: removed\n' });
    await server.stop();
    server = undefined;
    expect(await dino('models', 'remove', 'tiny')).toMatchObject({ code: 0, stdout: 'tiny: removed\n' });
    expect(await readdir(join(dataDir, 'models'))).toEqual([]);
  });
});
