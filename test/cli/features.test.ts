import { spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type DinoClient } from '#dino/client/dino-client.js';
import { textFile, type DrawnScene } from '../support/drawn-scenes.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';
import { decodeRunLengths } from './coco-run-lengths.js';
import { runDino, runDinoJson, type DinoOptions } from './dino-process.js';
import { drawSmallScenes, makeFolder, writeInto, writeScenes } from './photo-folder.js';

let root: string;
let server: ServerProcess;
let client: DinoClient;
let options: DinoOptions;
let scenes: DrawnScene[];
let ids: string[];
beforeAll(async () => {
  root = await makeFolder();
  server = await spawnServer({ dataDir: join(root, 'data') });
  client = createClient({ url: server.url });
  options = { cwd: root, environment: { DINO_URL: server.url } };
  scenes = await drawSmallScenes(1);
  ids = await writeScenes(join(root, 'photos'), scenes);
  await writeInto(root, 'mixed/a.jpg', scenes[0]!.bytes);
  await writeInto(root, 'mixed/b.jpg', textFile());
  await writeInto(root, 'mixed/c.jpg', scenes[2]!.bytes);
});
afterAll(async () => {
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

function lines(text: string) {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('dino embed', () => {
  it('prints the vector of each image in order, the same as the server gives', async () => {
    const { code, stdout } = await runDino(['embed', 'photos'], options);
    expect(code).toBe(0);
    const printed = lines(stdout);
    expect(printed.map(({ file }) => file)).toEqual([...ids].sort().map((id) => join('photos', id)));
    const { vectors, model } = await client.embed([await readFile(join(root, printed[4].file))]);
    expect(printed[4].model).toBe(model);
    expect(Float32Array.from(printed[4].embedding)).toEqual(vectors[0]);
  });

  it('prints base64 of the same numbers', async () => {
    const file = join('photos', ids[0]!);
    const [numbers] = lines((await runDino(['embed', file], options)).stdout);
    const [text] = lines((await runDino(['embed', file, '--encoding', 'base64'], options)).stdout);
    const bytes = Buffer.from(text.embedding, 'base64');
    const values = numbers.embedding.map((_: number, index: number) => bytes.readFloatLE(4 * index));
    expect(bytes).toHaveLength(4 * numbers.embedding.length);
    expect(Float32Array.from(values)).toEqual(Float32Array.from(numbers.embedding));
  });

  it('names what is no image, goes on with the others, and ends with 1', async () => {
    const { code, stdout, stderr } = await runDino(['embed', 'mixed'], options);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dino: mixed\/b\.jpg: .*image.*\ndino: 1 of 3 images failed\n$/);
    expect(lines(stdout)).toMatchObject([
      { file: 'mixed/a.jpg', embedding: expect.any(Array) },
      { file: 'mixed/b.jpg', error: { code: 'unsupported-image' } },
      { file: 'mixed/c.jpg', embedding: expect.any(Array) },
    ]);
  });
});

describe('dino mask', () => {
  it.each(['mask', 'overlay', 'cutout'] as const)(
    'writes a PNG of the size of each image, as %s',
    async (picture) => {
      const out = `masks-${picture}`;
      const { code, stdout } = await runDino(['mask', 'photos', '-o', out, '--picture', picture], options);
      expect(code).toBe(0);
      const expected = [...ids].sort().map((id) => join(out, id.replace('.jpg', '.png')));
      expect(stdout.trim().split('\n')).toEqual(expected);
      for (const file of expected) {
        expect(await sharp(join(root, file)).metadata()).toMatchObject({
          format: 'png',
          width: 128,
          height: 96,
        });
      }
    },
  );

  it('writes COCO annotations whose run lengths, areas and boxes belong together', async () => {
    const { code } = await runDino(
      ['mask', 'photos', '--coco', 'out/coco.json', '--head', 'all', '--threshold', '0.5'],
      options,
    );
    expect(code).toBe(0);
    const coco = JSON.parse(await readFile(join(root, 'out/coco.json'), 'utf8'));
    expect(coco.images.map(({ file_name }: { file_name: string }) => file_name)).toEqual([...ids].sort());
    expect(coco.categories).toHaveLength(1);
    expect(coco.annotations.length).toBeGreaterThan(coco.images.length);
    for (const { image_id, category_id, segmentation, area, bbox } of coco.annotations) {
      expect(coco.images[image_id - 1]).toMatchObject({ id: image_id, width: 128, height: 96 });
      expect(category_id).toBe(coco.categories[0].id);
      expect(segmentation.size).toEqual([96, 128]);
      const mask = decodeRunLengths(segmentation);
      expect(mask.area).toBe(area);
      expect(mask.bbox).toEqual(bbox);
    }
  });

  it('prints the annotations and writes the picture of the same mask', async () => {
    const file = join('photos', ids[0]!);
    const coco = await runDinoJson(['mask', file, '-o', 'one'], options);
    const { data } = await sharp(join(root, 'one/000.png'))
      .greyscale()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const white = data.reduce((sum, value) => sum + (value > 127 ? 1 : 0), 0);
    expect(coco.annotations).toHaveLength(1);
    expect(white).toBe(coco.annotations[0].area);
  });

  it('masks what a point or a box names, refined where that is asked for', async () => {
    const file = join('photos', ids[0]!);
    const [x, y, width, height] = scenes[0]!.bbox;
    const prompts = ['--box', scenes[0]!.bbox.join(',')];
    const coarse = await runDinoJson(['mask', file, ...prompts], options);
    const fine = await runDinoJson(['mask', file, ...prompts, '--refine', 'bilateral'], options);
    expect(coarse.annotations).toHaveLength(1);
    expect(fine.annotations[0].segmentation).not.toEqual(coarse.annotations[0].segmentation);
    const point = `${Math.round(x + width / 2)},${Math.round(y + height / 2)}`;
    const found = await runDinoJson(['mask', file, '--method', 'point', '--point', point], options);
    expect(found.annotations).toHaveLength(1);
  });

  it('makes as many masks of an image as it is told', async () => {
    const file = join('photos', ids[0]!);
    for (const objects of ['1', '4']) {
      const args = ['mask', file, '--method', 'deep-spectral', '--objects', objects];
      expect((await runDinoJson(args, options)).annotations).toHaveLength(Number(objects));
    }
  });

  it('reports an image on which the point does not lie', async () => {
    const args = ['mask', join('photos', ids[0]!), '--point', '5000,5', '--json'];
    const { code, stderr } = await runDino(args, options);
    expect(code).toBe(1);
    expect(stderr).toMatch(/5000,5 is not on the image, which has 128 x 96 px/);
  });

  it.each([
    ['--point', '5'],
    ['--point', 'a,b'],
    ['--box', '1,2,3'],
    ['--objects', '0'],
    ['--method', 'magic'],
    ['--refine', 'crf'],
  ])('refuses %s %s before anything is done', async (option, value) => {
    const { code, stderr } = await runDino(['mask', 'photos', '--json', option, value], options);
    expect(code).toBe(2);
    expect(stderr).toContain(option);
  });

  it('keeps the extensions of images that differ in nothing else', async () => {
    await writeInto(root, 'pair/x.jpg', scenes[0]!.bytes);
    await writeInto(root, 'pair/x.png', await sharp(scenes[1]!.bytes).png().toBuffer());
    const { stdout } = await runDino(['mask', 'pair', '-o', 'pair-masks'], options);
    expect(stdout).toBe('pair-masks/x.jpg.png\npair-masks/x.png.png\n');
  });

  it('never writes a picture over an image', async () => {
    const png = await sharp(scenes[0]!.bytes).png().toBuffer();
    await writeInto(root, 'pngs/x.png', png);
    const { code, stderr } = await runDino(['mask', 'pngs', '-o', 'pngs'], options);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^dino: pngs\/x\.png would be overwritten.*\n$/);
    expect(await readFile(join(root, 'pngs/x.png'))).toEqual(png);
  });

  it('does nothing where it is not told what to write', async () => {
    const { code, stderr } = await runDino(['mask', 'photos'], options);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^dino: give -o FOLDER .*\n$/);
  });
});

describe('dino cosegment', () => {
  it('writes a picture of what images have in common, and annotations of the same masks', async () => {
    // Things of different kinds: what one of them has is enough.
    const args = ['cosegment', 'photos', '--saliency', '0', '--votes', '0', '--size', '128'];
    const { code, stdout } = await runDino([...args, '-o', 'common', '--picture', 'cutout'], options);
    expect(code).toBe(0);
    const pictures = stdout.trim().split('\n');
    expect(pictures).toHaveLength(ids.length);
    expect(await sharp(join(root, pictures[0]!)).metadata()).toMatchObject({ width: 128, height: 96 });
    const coco = await runDinoJson(args, options);
    expect(coco.images).toHaveLength(ids.length);
    for (const { segmentation, area, bbox } of coco.annotations) {
      const mask = decodeRunLengths(segmentation);
      expect([mask.area, mask.bbox]).toEqual([area, bbox]);
    }
  });

  it('says where an image has nothing in common, and refuses a single one', async () => {
    const args = ['cosegment', 'photos', '--saliency', '1', '-o', 'nothing', '--size', '128'];
    const { code, stdout, stderr } = await runDino(args, options);
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr.trim().split('\n')).toHaveLength(ids.length);
    expect(stderr).toMatch(/^dino: photos\/.*: nothing in common with the others\n/);
    const one = await runDino(['cosegment', join('photos', ids[0]!), '-o', 'nothing'], options);
    expect([one.code, one.stderr]).toEqual([2, expect.stringMatching(/2 to 16 images, not 1/)]);
    const aimless = await runDino(['cosegment', 'photos'], options);
    expect([aimless.code, aimless.stderr]).toEqual([2, expect.stringMatching(/-o FOLDER/)]);
  });
});

describe('dino attention', () => {
  it('writes an overlay of one head at the size of the image', async () => {
    const { code, stdout } = await runDino(
      ['attention', join('photos', ids[3]!), '-o', 'heat', '--head', '0', '--overlay'],
      options,
    );
    expect(code).toBe(0);
    expect(stdout).toBe('heat/003.png\n');
    expect(await sharp(join(root, 'heat/003.png')).metadata()).toMatchObject({
      format: 'png',
      width: 128,
      height: 96,
    });
  });

  it('prints the maps of all heads as numbers', async () => {
    const { code, stdout } = await runDino(['attention', 'photos', '--json', '--size', '224'], options);
    expect(code).toBe(0);
    const [model] = await client.listModels();
    const printed = lines(stdout);
    expect(printed).toHaveLength(ids.length);
    for (const { heads, grid, attention, width, height } of printed) {
      expect({ heads, width, height }).toEqual({ heads: model!.heads, width: 128, height: 96 });
      expect(attention).toHaveLength(heads);
      for (const row of attention) {
        expect(row).toHaveLength(grid.width * grid.height);
        const sum = row.reduce((total: number, value: number) => total + value, 0);
        expect(sum).toBeGreaterThan(0);
        expect(sum).toBeLessThan(1);
      }
    }
  });

  it('writes and prints the rollout over all blocks, which has no heads', async () => {
    const path = join('photos', ids[3]!);
    const args = ['attention', path, '-o', 'rollout', '--rollout', '--json', '--size', '128'];
    const { code, stdout } = await runDino(args, options);
    expect(code).toBe(0);
    const [printed] = lines(stdout);
    const { picture, grid, attention } = printed!;
    expect([attention.length, attention[0].length]).toEqual([1, grid.width * grid.height]);
    expect(await sharp(join(root, picture)).metadata()).toMatchObject({ width: 128, height: 96 });
    const both = await runDino(['attention', path, '-o', 'rollout', '--rollout', '--head', '0'], options);
    expect([both.code, both.stderr]).toEqual([2, expect.stringMatching(/leave out --head/)]);
  });

  it('ends with 1 for a head that the model does not have', async () => {
    const { code, stderr } = await runDino(
      ['attention', join('photos', ids[3]!), '-o', 'heat', '--head', '99'],
      options,
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dino: photos\/.*head.*\n$/);
  });
});

const { error: missing } = spawnSync('ffmpeg', ['-version']);

describe.skipIf(missing !== undefined)('dino attention of videos (needs ffmpeg)', () => {
  /** Streams of a video: what ffprobe says. */
  function probe(file: string) {
    const entries = 'stream=width,height,nb_read_frames,avg_frame_rate';
    const { stdout } = spawnSync('ffprobe', [
      ...['-v', 'error', '-count_frames', '-show_entries', entries, '-of', 'json', join(root, file)],
    ]);
    return JSON.parse(String(stdout)).streams;
  }

  beforeAll(() => {
    // Odd sides, which most codecs for players do not take.
    const source = 'testsrc=size=161x121:rate=10:duration=0.8';
    const args = ['-v', 'error', '-f', 'lavfi', '-i', source, '-c:v', 'ffv1', join(root, 'clip.mkv')];
    expect(spawnSync('ffmpeg', args).status).toBe(0);
  });

  it('makes a video of as many frames at the rate of the original', async () => {
    const args = ['attention', 'clip.mkv', '-o', 'moving', '--head', '0', '--overlay', '--size', '64'];
    const { code, stdout } = await runDino(args, options);
    expect([code, stdout]).toEqual([0, 'moving/clip.mp4\n']);
    expect(probe('moving/clip.mp4')).toEqual([
      { width: 162, height: 122, avg_frame_rate: '10/1', nb_read_frames: '8' },
    ]);
    expect(await readdir(join(root, 'moving'))).toEqual(['clip.mp4']);
  });

  it('looks at fewer frames where it is told to, and prints JSON', async () => {
    const args = ['attention', 'clip.mkv', '-o', 'slow', '--size', '64', '--fps', '5', '--json'];
    const { stdout } = await runDino(args, options);
    expect(JSON.parse(stdout)).toEqual({ file: 'clip.mkv', video: 'slow/clip.mp4' });
    expect(probe('slow/clip.mp4')).toMatchObject([{ avg_frame_rate: '5/1', nb_read_frames: '4' }]);
  });

  it('puts the pictures of a folder of frames together', async () => {
    const args = ['attention', 'photos', '--video', 'joined/all.mp4', '--fps', '2', '--size', '64'];
    const { code, stdout } = await runDino([...args, '--head', '1'], options);
    expect([code, stdout]).toEqual([0, 'joined/all.mp4\n']);
    expect(probe('joined/all.mp4')).toEqual([
      { width: 128, height: 96, avg_frame_rate: '2/1', nb_read_frames: String(ids.length) },
    ]);
  });

  it('leaves no video where a frame or the video itself can not be read', async () => {
    const joined = await runDino(['attention', 'mixed', '--video', 'broken/all.mp4'], options);
    expect(joined.code).toBe(1);
    expect(joined.stderr).toMatch(/^dino: mixed\/b\.jpg: /m);
    expect(joined.stderr).toMatch(/^dino: 1 of 3 images failed\n$/m);
    expect(await readdir(join(root, 'broken'))).toEqual([]);
    await writeInto(root, 'text.mp4', textFile());
    const { code, stderr } = await runDino(['attention', 'text.mp4', '-o', 'broken'], options);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^dino: text\.mp4: ffprobe failed: .*\n$/)]);
    expect(await readdir(join(root, 'broken'))).toEqual([]);
  });

  it('ends with 2 where it is not told where the video goes, or would write over it', async () => {
    const none = await runDino(['attention', 'clip.mkv', '--json'], options);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('clip.mkv goes')]);
    await writeInto(root, 'same/a.mp4', 'a video');
    const same = await runDino(['attention', 'same/a.mp4', '-o', 'same'], options);
    expect([same.code, same.stderr]).toEqual([2, expect.stringContaining('would be overwritten')]);
    const stills = await runDino(['attention', 'clip.mkv', '-o', 'x', '--video', 'y.mp4'], options);
    expect([stills.code, stills.stderr]).toEqual([2, expect.stringContaining('folder of frames')]);
  });
});

describe('dino attention without ffmpeg', () => {
  it('says what is missing and what to do, for a video and for frames', async () => {
    await writeInto(root, 'film.mp4', 'a video');
    const environment = { ...options.environment, PATH: join(root, 'photos') };
    for (const args of [
      ['film.mp4', '-o', 'nowhere'],
      ['photos', '--video', 'nowhere/all.mp4', '--size', '64'],
    ]) {
      const { code, stderr } = await runDino(['attention', ...args], { cwd: root, environment });
      expect(code).toBe(1);
      expect(stderr).toMatch(/^dino: ffmpeg, which .* is not installed .* folder of frames.*\n$/);
    }
  });
});

describe('dino search', () => {
  beforeAll(async () => {
    await runDinoJson(['import', 'photos', '-c', 'scenes'], options);
  });

  it('prints a table of rank, score, id and metadata', async () => {
    const { code, stdout } = await runDino(
      ['search', join('photos', ids[1]!), '-c', 'scenes', '-k', '2'],
      options,
    );
    expect(code).toBe(0);
    const [heading, first, second, ...rest] = stdout.trim().split('\n');
    expect(heading).toMatch(/^rank {2}score +id +metadata$/);
    expect(first!.split(/ {2,}/)).toEqual(['1', '1.0000', ids[1], `class=${scenes[1]!.className}`]);
    expect(second).toMatch(/^2 {5}-?\d\.\d{4} {2}\S+ +class=\S+$/);
    expect(rest).toEqual([]);
  });

  it('keeps to a filter and to a least score', async () => {
    const filter = JSON.stringify({ field: 'class', in: ['ring-on-noise', 'cross-on-dots'] });
    const { results } = await runDinoJson(
      ['search', '--id', ids[0]!, '-c', 'scenes', '--filter', filter],
      options,
    );
    const found = results.map(({ metadata }: { metadata: { class: string } }) => metadata.class);
    expect(found.sort()).toEqual(['cross-on-dots', 'ring-on-noise']);
    const { stdout } = await runDino(
      ['search', '--id', ids[0]!, '-c', 'scenes', '--min-score', '1'],
      options,
    );
    expect(stdout).toBe('nothing found\n');
  });

  it('ends with 1 for an id or a collection that is not there, with the reason', async () => {
    const id = await runDino(['search', '--id', 'nobody', '-c', 'scenes'], options);
    expect([id.code, id.stderr]).toEqual([1, expect.stringMatching(/^dino: .*nobody.*\n$/)]);
    const collection = await runDino(['search', '--id', 'x', '-c', 'nothing'], options);
    expect([collection.code, collection.stderr]).toEqual([1, expect.stringMatching(/^dino: .*nothing.*\n$/)]);
  });
});

describe('dino models', () => {
  it('lists what is loaded', async () => {
    const [model] = await client.listModels();
    const { stdout } = await runDino(['models', 'list'], options);
    expect(stdout).toContain(`${model!.id} (default)  ready   ${model!.dimension} `);
    const listed = (await runDinoJson(['models', 'list'], options)) as { memoryBytes: number }[];
    // Memory is what it is at the moment.
    const expected = (await client.listModels()).map((model) => ({
      ...model,
      memoryBytes: expect.any(Number) as number,
    }));
    expect(listed).toEqual(expected);
  });

  it('verifies the files against their manifests, without a server', async () => {
    expect(await runDino(['models', 'verify'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\S+: ok\n/),
    });
    const [model] = await client.listModels();
    await writeInto(root, 'models/good/manifest.json', JSON.stringify(model!.manifest));
    await writeInto(root, 'models/good/model.onnx', 'not what was trained');
    await mkdir(join(root, 'models/empty'));
    const { code, stdout, stderr } = await runDino([
      'models',
      'verify',
      '--models-dir',
      join(root, 'models'),
    ]);
    expect(code).toBe(1);
    expect(stderr).toBe('dino: 2 of 2 models are not what their manifests say\n');
    expect(stdout).toMatch(/^empty: wrong, .*manifest\.json can't be read as JSON \(ENOENT\)/m);
    expect(stdout).toMatch(
      new RegExp(
        `^${model!.id}: wrong, the SHA-256 of \\S+model\\.onnx is [0-9a-f]{64}, not ${model!.fingerprint} as in its manifest$`,
        'm',
      ),
    );
  });
});
