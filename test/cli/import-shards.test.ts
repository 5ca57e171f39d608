import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type DinoClient } from '#dino/client/dino-client.js';
import { drawScene, type DrawnScene } from '../support/drawn-scenes.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';
import { runDino, runDinoJson, type DinoOptions } from './dino-process.js';
import { drawSmallScenes, makeFolder, writeTar } from './photo-folder.js';

describe('dino import of WebDataset shards', () => {
  let root: string;
  let server: ServerProcess;
  let client: DinoClient;
  let options: DinoOptions;
  let scenes: DrawnScene[];
  beforeAll(async () => {
    root = await makeFolder();
    const dataDir = join(root, 'data');
    server = await spawnServer({
      dataDir,
      environment: { DINO_MAX_IMAGES_PER_REQUEST: '4', DINO_MAX_IMAGE_BYTES: '60000' },
    });
    client = createClient({ url: server.url });
    options = { cwd: root, environment: { DINO_URL: server.url } };
    scenes = await drawSmallScenes(3);
    await writeTar(join(root, 'scenes.tar'), samples(scenes));
  });
  afterAll(async () => {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  });

  /** `.jpg` and `.cls` of each scene, as WebDataset has them. */
  function samples(scenes: readonly DrawnScene[]): [string, string | Buffer][] {
    return scenes.flatMap(({ className, bytes }, index): [string, string | Buffer][] => [
      [`${className}/image_${index}.jpg`, bytes],
      [`${className}/image_${index}.cls`, `${className}\n`],
    ]);
  }

  it('takes the key as id and .cls as class, and again finds everything unchanged', async () => {
    const first = await runDinoJson(
      ['import', 'scenes.tar', '-c', 'scenes', '--label-field', 'kind'],
      options,
    );
    expect(first).toMatchObject({ created: true, stored: 18, failed: 0, skipped: 0 });
    expect(first.nearestNeighbour).toMatchObject({ field: 'kind', images: 18 });
    expect((await client.getImage('scenes', 'disc-on-stripes/image_0')).metadata).toEqual({
      kind: 'disc-on-stripes',
    });

    const second = await runDinoJson(
      ['import', 'scenes.tar', '-c', 'scenes', '--label-field', 'kind'],
      options,
    );
    expect(second).toMatchObject({ created: false, stored: 0, replaced: 0, unchanged: 18, failed: 0 });
    expect((await client.getCollection('scenes')).count).toBe(18);
  });

  it('measures the share of nearest neighbours of the same class', async () => {
    const { nearestNeighbour } = await runDinoJson(
      ['import', 'scenes.tar', '-c', 'measured', '--label-field', 'kind'],
      options,
    );
    const { vectors } = await client.embed(scenes.slice(0, 4).map(({ bytes }) => bytes));
    for (let at = 4; at < scenes.length; at += 4) {
      vectors.push(...(await client.embed(scenes.slice(at, at + 4).map(({ bytes }) => bytes))).vectors);
    }
    const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    const same = vectors.filter((vector, index) => {
      const scores = vectors.map((other, i) => (i === index ? -2 : dot(vector, other)));
      return scenes[scores.indexOf(Math.max(...scores))]!.className === scenes[index]!.className;
    });
    expect(nearestNeighbour).toEqual({
      field: 'kind',
      same: same.length,
      images: 18,
      share: same.length / 18,
    });
  });

  it('takes metadata from .json, leaves out what does not fit, and counts members of other kinds', async () => {
    const [first, second] = scenes;
    const json = JSON.stringify({ year: 2020, tags: ['a', 'b'], exif: { make: 'x' }, note: null });
    await writeTar(join(root, 'described.tar.gz'), [
      ['0001.jpg', first!.bytes],
      ['0001.mask.png', Buffer.from('whatever')],
      ['0001.json', json],
      ['0001.cls', 'disc'],
      ['0002.txt', 'a caption'],
      ['0002.JPG', second!.bytes],
      ['0003.cls', 'a class without an image'],
    ]);
    const { code, stdout } = await runDino(
      ['import', 'described.tar.gz', '-c', 'described', '--no-measure'],
      options,
    );
    expect(code).toBe(0);
    expect(stdout).toMatch(/^metadata field exif left out of 1 images/m);
    expect(stdout).toMatch(/2 stored, .* 3 skipped other files \(1 \.mask\.png, 1 \.txt, 1 \.cls\)/);
    expect((await client.getImage('described', '0001')).metadata).toEqual({
      year: 2020,
      tags: ['a', 'b'],
      class: 'disc',
    });
    expect((await client.getImage('described', '0002')).metadata).toEqual({});
  });

  it('stores what can be read of a damaged archive and names the rest', async () => {
    const whole = await readFile(await writeTar(join(root, 'whole.tar'), samples(scenes)));
    await writeFile(join(root, 'cut.tar'), whole.subarray(0, Math.floor(whole.length / 2)));
    const { code, stdout, stderr } = await runDino(
      ['import', 'cut.tar', 'scenes.tar', '-c', 'cut', '--no-measure'],
      options,
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(/^failed: cut\.tar: the archive can't be read to its end: /m);
    expect(stderr).toMatch(/images were not stored\n$/);
    expect((await client.getCollection('cut')).count).toBe(18);
  });

  it('says what is wrong with a file that is no archive', async () => {
    await writeFile(join(root, 'no.tar'), 'x'.repeat(2000));
    const { code, stdout } = await runDino(['import', 'no.tar', '-c', 'none'], options);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^failed: no\.tar: the archive can't be read to its end: /m);
  });

  it('gets past a server that takes fewer or smaller images than are sent', async () => {
    const { bytes } = await drawScene({ className: 'ring-on-noise', width: 640, height: 480, format: 'png' });
    expect(bytes.length).toBeGreaterThan(60_000);
    await writeTar(join(root, 'large.tar'), [
      ...samples(scenes.slice(0, 9)),
      ['large.png', bytes],
      ...samples(scenes).slice(18),
    ]);
    const { code, stdout } = await runDino(
      ['import', 'large.tar', '-c', 'large', '--batch', '16', '--no-measure'],
      options,
    );
    expect(code).toBe(1);
    expect(stdout).toMatch(/^failed: large\.tar:large\.png: .*(large|limit)/im);
    expect(stdout).toMatch(/^large: 18 stored, 0 replaced, 0 unchanged, 1 failed/m);
  });
});
