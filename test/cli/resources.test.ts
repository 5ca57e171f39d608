import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type DinoClient } from '#dino/client/dino-client.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';
import { runDino, runDinoJson, type DinoOptions } from './dino-process.js';
import { drawSmallScenes, makeFolder } from './photo-folder.js';

let root: string;
let server: ServerProcess;
let client: DinoClient;
let options: DinoOptions;
beforeAll(async () => {
  root = await makeFolder();
  server = await spawnServer({ dataDir: join(root, 'data') });
  client = createClient({ url: server.url });
  options = { cwd: root, environment: { DINO_URL: server.url } };
  await client.createCollection('photos');
  const scenes = await drawSmallScenes(3);
  for (const [i, { bytes }] of scenes.entries()) await client.putImage('photos', `i${i}`, bytes);
});
afterAll(async () => {
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

const dino = (...args: string[]) => runDino(args, options);
const dinoJson = (...args: string[]) => runDinoJson(args, options);
/** What a command that is refused says. */
async function refused(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await dino(...args);
  expect([code === 0, stdout]).toEqual([false, '']);
  return stderr;
}

describe('dino collections', () => {
  it('creates, confirms, lists, shows, alters and deletes', async () => {
    const create = ['collections', 'create', 'made', '--m', '8', '--ef', '77', '--content', 'thumbnail'];
    expect(await dinoJson(...create)).toMatchObject({ name: 'made', m: 8, ef: 77, content: 'thumbnail' });
    expect(await dinoJson(...create)).toMatchObject({ name: 'made' });
    expect(await refused('collections', 'create', 'made', '--m', '9')).toMatch(/"made".*m 8, not 9/);
    expect((await dinoJson('collections', 'list')).map(({ name }: { name: string }) => name)).toEqual([
      'made',
      'photos',
    ]);
    const { stdout } = await dino('collections', 'show', 'photos');
    expect(stdout).toMatch(/^collection +images +model.*\nphotos +\d+ +\S+/);
    expect(
      await dinoJson('collections', 'alter', 'made', '--ef', '99', '--no-thumbnails', '--content', 'none'),
    ).toMatchObject({
      ef: 99,
      content: 'none',
      thumbnails: false,
    });
    expect(await client.getCollection('made')).toMatchObject({ ef: 99, content: 'none' });
    expect(await refused('collections', 'alter', 'made')).toMatch(/give --ef, --content/);
    expect(await refused('collections', 'delete', 'made')).toMatch(/made has 0 images; say --yes/);
    expect(await dinoJson('collections', 'delete', 'made', '--yes')).toEqual({ deleted: 'made', images: 0 });
    expect(await refused('collections', 'show', 'made')).toMatch(/no collection "made"/);
  });

  it('says why a re-embedding does not begin', async () => {
    const { model } = await client.getCollection('photos');
    expect(await refused('collections', 'reembed', 'photos', '--model', model)).toMatch(/already/);
    expect(await refused('collections', 'reembed', 'photos', '--model', 'nowhere')).toMatch(/nowhere/);
  });
});

describe('dino aliases', () => {
  it('sets, swaps, lists and deletes', async () => {
    await client.createCollection('other');
    expect((await dino('aliases', 'set', 'live', 'photos')).stdout).toBe(
      'live: created, stands for photos\n',
    );
    expect((await dino('aliases', 'set', 'live', 'other')).stdout).toBe('live: set, stands for other\n');
    expect(await dinoJson('aliases', 'list')).toEqual([{ name: 'live', collection: 'other' }]);
    expect((await dino('aliases', 'list')).stdout).toMatch(/^alias +collection\nlive +other\n$/);
    expect(await refused('collections', 'delete', 'other', '--yes')).toMatch(/has aliases: live/);
    expect(await refused('aliases', 'set', 'photos', 'other')).toMatch(/"photos" is a collection/);
    expect(await dinoJson('aliases', 'delete', 'live')).toEqual({ deleted: 'live' });
    expect(await refused('aliases', 'delete', 'live')).toMatch(/no alias "live"/);
  });
});

describe('dino jobs', () => {
  it('lists, shows, waits for and cancels', async () => {
    const { id } = await client.findDuplicates('photos', { threshold: 0.5 });
    expect(await dinoJson('jobs', 'wait', id)).toMatchObject({ id, kind: 'duplicates', state: 'succeeded' });
    expect(await dinoJson('jobs', 'show', id)).toMatchObject({ id, collection: 'photos' });
    expect((await dino('jobs', 'show', id)).stdout).toMatch(
      /^job +kind[^\n]*\n[^\n]*succeeded[^\n]*\nresult: \{/,
    );
    const listed = await dinoJson('jobs', 'list', '--collection', 'photos', '--kind', 'duplicates');
    expect(listed.map((job: { id: string }) => job.id)).toContain(id);
    expect(await dinoJson('jobs', 'list', '--state', 'failed')).toEqual([]);
    // One that has finished stays as it is.
    expect(await dinoJson('jobs', 'cancel', id)).toMatchObject({ id, state: 'succeeded' });
    expect(await refused('jobs', 'show', 'nothing')).toMatch(/nothing/);
    expect(await refused('jobs', 'list', '--state', 'odd')).toMatch(/odd/);
  });
});

describe('dino snapshots', () => {
  it('creates, lists, verifies, downloads and deletes; a damaged one is told', async () => {
    const { id, bytes, collections } = await dinoJson('snapshots', 'create');
    expect(collections).toContainEqual(
      expect.objectContaining({ name: 'photos', count: (await client.getCollection('photos')).count }),
    );
    expect((await dino('snapshots', 'list')).stdout).toMatch(new RegExp(`^ID +CREATED[^\\n]*\\n${id} `));
    expect((await dino('snapshots', 'verify', id)).stdout).toBe(`${id}: whole\n`);
    expect(await dinoJson('snapshots', 'download', id, 'copy.tar')).toMatchObject({
      file: 'copy.tar',
      id,
      bytes,
    });
    expect((await stat(join(root, 'copy.tar'))).size).toBe(bytes);
    expect((await dino('snapshots', 'download', id)).code).toBe(0);
    expect((await stat(join(root, `${id}.tar`))).size).toBe(bytes);
    const restored = await dinoJson('snapshots', 'restore', 'copy.tar', '--data-dir', 'restored');
    expect(restored.collections).toEqual(collections);

    const path = join(root, 'data', 'snapshots', `${id}.tar`);
    const archive = await readFile(path);
    archive[archive.length >> 1]! ^= 1;
    await writeFile(path, archive);
    expect(await refused('snapshots', 'verify', id)).toMatch(/is damaged/);
    expect(await refused('snapshots', 'download', id, 'damaged.tar')).toMatch(/is damaged: its SHA-256/);
    await expect(stat(join(root, 'damaged.tar'))).rejects.toMatchObject({ code: 'ENOENT' });

    expect(await dinoJson('snapshots', 'delete', id)).toEqual({ id, deleted: true });
    expect(await dinoJson('snapshots', 'list')).toEqual([]);
    for (const verb of ['verify', 'download', 'delete'])
      expect(await refused('snapshots', verb, id)).toMatch(/no snapshot/);
  });
});
