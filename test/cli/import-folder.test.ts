import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { corruptPng, drawScene, heicFile, textFile, type DrawnScene } from '../support/drawn-scenes.js';
import { runDino, runDinoJson, type DinoOptions, type DinoResult } from './dino-process.js';
import { drawSmallScenes, makeFolder, writeInto, writeScenes } from './photo-folder.js';

describe('dino import of a folder, with no server', () => {
  let root: string;
  let photos: string;
  let scenes: DrawnScene[];
  let ids: string[];
  let options: DinoOptions;
  let first: DinoResult;
  beforeAll(async () => {
    root = await makeFolder();
    photos = join(root, 'photos');
    scenes = await drawSmallScenes(4);
    ids = await writeScenes(photos, scenes);
    options = { cwd: root, environment: { DINO_DATA_DIR: join(root, 'data') } };
    first = await runDino(['import', 'photos', '-c', 'scenes', '--batch', '5'], options);
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it('creates the collection, stores every image, and says so', () => {
    const { code, stdout } = first;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^created the collection scenes \(model \S+, \d+ dimensions\)\n/);
    expect(stdout).toMatch(/^scenes: 24 stored, 0 replaced, 0 unchanged, 0 failed, 0 skipped; /m);
    expect(stdout).toMatch(/^nearest neighbour of the same class: \d+\.\d % of 24\n$/m);
  });

  it('finds each image by itself, under its path, with its folder as class', async () => {
    for (const index of [0, 9, 23]) {
      const { results } = await runDinoJson(
        ['search', join('photos', ids[index]!), '-c', 'scenes', '-k', '3'],
        options,
      );
      expect(results).toHaveLength(3);
      expect(results[0]).toMatchObject({ id: ids[index], metadata: { class: scenes[index]!.className } });
      expect(results[0].score).toBeGreaterThanOrEqual(0.999);
    }
  });

  it('stores nothing twice', async () => {
    const summary = await runDinoJson(['import', 'photos', '-c', 'scenes', '--no-measure'], options);
    expect(summary).toMatchObject({
      created: false,
      stored: 0,
      replaced: 0,
      unchanged: 24,
      failed: 0,
      nearestNeighbour: null,
    });
    const { results } = await runDinoJson(['search', '--id', ids[0]!, '-c', 'scenes', '-k', '100'], options);
    expect(new Set(results.map(({ id }: { id: string }) => id))).toEqual(new Set(ids.slice(1)));
    expect(results).toHaveLength(23);
  });

  it('leaves out what is there under another path when that is asked for, and names both', async () => {
    await writeInto(photos, 'copies/again.jpg', scenes[5]!.bytes);
    const args = ['import', 'photos', '-c', 'scenes', '--no-measure', '--on-duplicate', 'skip'];
    for (let run = 0; run < 2; run++) {
      expect(await runDinoJson(args, options)).toMatchObject({
        stored: 0,
        unchanged: 24,
        duplicates: 1,
        skippedDuplicates: [{ source: expect.stringContaining('again.jpg'), duplicateOf: ids[5] }],
      });
    }
    const { stdout } = await runDino(args, options);
    expect(stdout).toMatch(new RegExp(`^duplicate: .*again.jpg: the same as ${ids[5]}$`, 'm'));
    expect(stdout).toMatch(/ 24 unchanged, 1 duplicates, 0 failed/);
    await rm(join(photos, 'copies'), { recursive: true });
    // In one import, the one that is stored first stays.
    const twice = ['twice/a.jpg', 'twice/b.jpg'];
    for (const path of twice) await writeInto(root, path, scenes[0]!.bytes);
    const both = ['import', 'twice', '-c', 'twice', '--no-measure', '--on-duplicate', 'skip', '--batch', '1'];
    expect(await runDinoJson(both, options)).toMatchObject({ stored: 1, duplicates: 1 });
    expect(await runDinoJson(['import', 'twice', '-c', 'twice', '--no-measure'], options)).toMatchObject({
      stored: 1,
      unchanged: 1,
      duplicates: 0,
    });
  });

  it('replaces what has changed and adds what is new', async () => {
    const other = await drawScene({ className: 'ring-on-noise', seed: 99, width: 128, height: 96 });
    await writeInto(photos, ids[3]!, other.bytes);
    await writeInto(photos, 'new/one.jpg', scenes[3]!.bytes);
    const summary = await runDinoJson(['import', 'photos', '-c', 'scenes', '--no-measure'], options);
    expect(summary).toMatchObject({ stored: 1, replaced: 1, unchanged: 23, failed: 0 });
    const { results } = await runDinoJson(
      ['search', join('photos', ids[3]!), '-c', 'scenes', '-k', '1'],
      options,
    );
    expect(results[0].id).toBe(ids[3]);
    expect(results[0].score).toBeGreaterThanOrEqual(0.999);
  });
});

describe('dino import of what is not all well', () => {
  let root: string;
  let options: DinoOptions;
  beforeAll(async () => {
    root = await makeFolder();
    options = { cwd: root, environment: { DINO_DATA_DIR: join(root, 'data') } };
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it('names each image that is not stored, stores the others, and ends with 1', async () => {
    const scenes = await drawSmallScenes(1);
    const ids = await writeScenes(join(root, 'mixed'), scenes);
    await writeInto(root, 'mixed/note.jpg', textFile());
    await writeInto(root, 'mixed/broken.png', await corruptPng());
    await writeInto(root, 'mixed/phone.heic', heicFile());
    await writeInto(root, 'mixed/readme.txt', 'not meant as an image');
    await writeInto(root, 'mixed/.hidden/secret.jpg', scenes[0]!.bytes);

    const { code, stdout, stderr } = await runDino(['import', 'mixed', '-c', 'mixed'], options);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dino: 3 of 9 images were not stored\n$/m);
    expect(stdout).toMatch(/^failed: mixed\/broken\.png: \S/m);
    expect(stdout).toMatch(/^failed: mixed\/note\.jpg: .*image/m);
    expect(stdout).toMatch(/^failed: mixed\/phone\.heic: .*HEIC/m);
    expect(stdout).toMatch(
      /^mixed: 6 stored, 0 replaced, 0 unchanged, 3 failed, 1 skipped other files \(1 \.txt\); /m,
    );

    const { results } = await runDinoJson(['search', '--id', ids[0]!, '-c', 'mixed', '-k', '100'], options);
    expect(results).toHaveLength(5);
  });

  it("puts the folders' own names first where there are several, so that their images stay apart", async () => {
    const [first, second] = await drawSmallScenes(1);
    await writeInto(root, 'one/same.jpg', first!.bytes);
    await writeInto(root, 'two/same.jpg', second!.bytes);
    const summary = await runDinoJson(['import', 'one', 'two', '-c', 'apart', '--no-measure'], options);
    expect(summary).toMatchObject({ stored: 2, failed: 0 });
    const { results } = await runDinoJson(['search', '--id', 'one/same.jpg', '-c', 'apart'], options);
    expect(results).toMatchObject([{ id: 'two/same.jpg', metadata: { class: 'two' } }]);
  });

  it('refuses a second image under an id, since two imports would take turns', async () => {
    const [first, second] = await drawSmallScenes(1);
    const paths = [
      await writeInto(root, 'a/cat.jpg', first!.bytes),
      await writeInto(root, 'b/cat.jpg', second!.bytes),
    ];
    const { code, stdout } = await runDino(['import', ...paths, '-c', 'twice'], options);
    expect(code).toBe(1);
    expect(stdout).toContain(`failed: ${paths[1]}: its id cat.jpg is already that of ${paths[0]}\n`);
    expect(stdout).toMatch(/^twice: 1 stored, 0 replaced, 0 unchanged, 1 failed/m);
  });

  it('ends with 1 where there is no image at all', async () => {
    await writeInto(root, 'texts/a.txt', 'a');
    const { code, stderr } = await runDino(['import', 'texts', '-c', 'texts'], options);
    expect(code).toBe(1);
    expect(stderr).toBe('dino: there are no images in texts\n');
  });

  it('ends with 2 for a path that is not there, and creates no collection', async () => {
    const { code, stderr } = await runDino(['import', 'nowhere', '-c', 'nowhere'], options);
    expect(code).toBe(2);
    expect(stderr).toBe('dino: nowhere: there is no such file or folder\n');
    const search = await runDino(['search', '--id', 'x', '-c', 'nowhere'], options);
    expect(search.code).toBe(1);
    expect(search.stderr).toMatch(/^dino: .*nowhere.*\n$/);
  });
});
