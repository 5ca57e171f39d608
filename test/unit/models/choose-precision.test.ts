import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { embeddingSeconds, machineType } from '#dino/inference/embedding-speed.js';
import { choosePrecision, type PrecisionChoice } from '#dino/models/choose-precision.js';

const bundled = new URL('../../../models/', import.meta.url).pathname;
const MODEL = 'dino-vitmicro16-photos';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dino-precision-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A model folder of another name and precision, with a record of its parity. */
async function install(name: string, precision: string, parity?: object): Promise<void> {
  const target = join(folder, 'models', name);
  await cp(join(bundled, MODEL), target, { recursive: true });
  const manifest = JSON.parse(await readFile(join(target, 'manifest.json'), 'utf8')) as {
    file: { sha256: string };
  };
  const sha256 = Buffer.from(name.padEnd(32, '.')).toString('hex').slice(0, 64);
  const file = { ...manifest.file, precision, sha256 };
  await writeFile(join(target, 'manifest.json'), JSON.stringify({ ...manifest, name, file, parity }));
}

const warnings: string[] = [];

function choose(precision: PrecisionChoice, seconds: Record<string, number> = {}, machine = 'this one') {
  const measured: string[] = [];
  const chosen = choosePrecision({
    model: MODEL,
    precision,
    folders: { bundled, installed: join(folder, 'models') },
    measure: async ({ manifest: { name } }) => {
      measured.push(name);
      if (seconds[name] === undefined) throw new Error(`${name} can't be opened`);
      return seconds[name];
    },
    machine,
    cacheDir: join(folder, 'cache'),
    onWarning: (message) => warnings.push(message),
  });
  return chosen.then((name) => ({ name, measured }));
}

const close = { photos: 12, minCosine: { embedding: 0.9995 } };

describe('choosePrecision', () => {
  it('takes the model as it is named, whatever else is there', async () => {
    await install(`${MODEL}-int8`, 'int8', close);
    expect(await choose('named')).toEqual({ name: MODEL, measured: [] });
  });

  it('takes the precision that is asked for, and names what there is where it is missing', async () => {
    await install(`${MODEL}-int8`, 'int8');
    expect((await choose('int8')).name).toBe(`${MODEL}-int8`);
    expect((await choose('fp32')).name).toBe(MODEL);
    await expect(choose('fp16')).rejects.toThrow(`not there in fp16; there are: ${MODEL}, ${MODEL}-int8.`);
  });

  it('takes the fastest of those that keep the accuracy on photos by their record', async () => {
    await install(`${MODEL}-int8`, 'int8', { ...close, photos: 0 });
    await install(`${MODEL}-int8-static`, 'int8', close);
    await install(`${MODEL}-fp16`, 'fp16', { photos: 12, minCosine: { embedding: 0.998 } });
    const seconds = { [MODEL]: 3, [`${MODEL}-int8-static`]: 2, [`${MODEL}-int8`]: 1, [`${MODEL}-fp16`]: 1 };
    const { name, measured } = await choose('auto', seconds);
    expect(name).toBe(`${MODEL}-int8-static`);
    expect(measured).toEqual([MODEL, `${MODEL}-int8-static`]);
  });

  it('stays with the named one where another is slower, can not be opened, or is another network', async () => {
    await install(`${MODEL}-int8`, 'int8', close);
    expect((await choose('auto', { [MODEL]: 1, [`${MODEL}-int8`]: 2 })).name).toBe(MODEL);
    expect((await choose('auto', { [MODEL]: 1 }, 'another machine')).name).toBe(MODEL);
    expect(warnings).toEqual([expect.stringContaining(`${MODEL}-int8 can't be opened`)]);
    const path = join(folder, 'models', `${MODEL}-int8`, 'manifest.json');
    const manifest = JSON.parse(await readFile(path, 'utf8')) as { architecture: object };
    const architecture = { ...manifest.architecture, depth: 3 };
    await writeFile(path, JSON.stringify({ ...manifest, architecture }));
    expect(await choose('auto')).toEqual({ name: MODEL, measured: [] });
  });

  it('measures once for a machine and the files, and again where what it kept is damaged', async () => {
    await install(`${MODEL}-int8`, 'int8', close);
    const seconds = { [MODEL]: 2, [`${MODEL}-int8`]: 1 };
    const both = [MODEL, `${MODEL}-int8`];
    expect(await choose('auto', seconds)).toEqual({ name: both[1], measured: both });
    expect(await choose('auto', seconds)).toEqual({ name: both[1], measured: [] });
    expect((await choose('auto', seconds, 'another machine')).measured).toEqual(both);
    for (const name of await readdir(join(folder, 'cache')))
      await writeFile(join(folder, 'cache', name), '{"a":');
    expect(await choose('auto', seconds)).toEqual({ name: both[1], measured: both });
  });

  it('measures with the model itself', async () => {
    const { manifestSchema } = await import('#dino/models/manifest.js');
    const content = await readFile(join(bundled, MODEL, 'manifest.json'), 'utf8');
    const manifest = manifestSchema.parse(JSON.parse(content));
    const options = { manifest, providers: ['cpu'], workers: 1, threads: 1, maxBatch: 1 };
    const modelPath = join(bundled, MODEL, manifest.file.path);
    expect(await embeddingSeconds({ ...options, modelPath })).toBeGreaterThan(0);
    expect(machineType()).toMatch(/onnxruntime \d+\.\d+/);
  });
});
