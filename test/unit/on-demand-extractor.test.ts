import { readFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { OnDemandExtractor } from '#dino/inference/on-demand-extractor.js';
import { Places } from '#dino/inference/places.js';
import { manifestSchema } from '#dino/models/manifest.js';

const folder = new URL('../../models/dino-vitmicro16-photos/', import.meta.url);
const manifest = manifestSchema.parse(JSON.parse(await readFile(new URL('manifest.json', folder), 'utf8')));

let opened: FeatureExtractor[];
let problem: Error | undefined;
let model: OnDemandExtractor;
beforeEach(() => {
  opened = [];
  problem = undefined;
  model = new OnDemandExtractor({ name: 'mine', places: new Places(100), open });
});
afterEach(() => model.close());

async function open(): Promise<FeatureExtractor> {
  if (problem !== undefined) throw problem;
  const modelPath = new URL(manifest.file.path, folder).pathname;
  const settings = { providers: ['cpu'], workers: 1, threads: 1, maxBatch: 1 };
  const extractor = await FeatureExtractor.create({ manifest, modelPath, ...settings });
  opened.push(extractor);
  return extractor;
}

const embedInside = () =>
  model.extract({ data: new Uint8Array(96 * 96 * 3).fill(7), width: 96, height: 96 }, ['embedding']);
const embed = () => model.withPlaces(1, embedInside);

describe('OnDemandExtractor', () => {
  it('is loaded by its first use, once for all that come together, and stays', async () => {
    expect([model.status, model.memoryBytes]).toEqual(['available', 0]);
    const uses = [embed(), embed(), model.load(), embed()];
    expect(model.status).toBe('loading');
    const [first, second] = await Promise.all(uses);
    expect(first).toEqual(second);
    await embed();
    expect(opened).toHaveLength(1);
    expect(model.status).toBe('ready');
    expect(model.memoryBytes).toBeGreaterThan(manifest.file.bytes);
  });

  it('gives its memory back once the requests inside have gone, and is loaded by the next', async () => {
    let leave!: () => void;
    const staying = model.withPlaces(1, async () => {
      await new Promise<void>((resolve) => (leave = resolve));
      return embedInside();
    });
    await model.load();
    const [pid] = opened[0]!.processIds;
    const unloading = model.unload();
    const next = embed();
    await new Promise(setImmediate);
    expect(model.status).toBe('unloading');
    expect(opened).toHaveLength(1);
    leave();
    expect((await staying).embedding).toHaveLength(manifest.architecture.embedDim);
    await unloading;
    expect(() => process.kill(pid!, 0)).toThrow('ESRCH');
    expect((await next).embedding).toEqual((await staying).embedding);
    expect(opened).toHaveLength(2);
    expect(model.status).toBe('ready');
  });

  it('can be unloaded while it is being loaded, before it was, and twice', async () => {
    await model.unload();
    const use = embed();
    const [, answer] = await Promise.all([model.unload(), use, model.unload()]);
    expect(answer.embedding).toHaveLength(manifest.architecture.embedDim);
    await model.unload();
    expect([model.status, model.memoryBytes]).toEqual(['available', 0]);
  });

  it('answers everybody who comes and goes while it is loaded and unloaded again and again', async () => {
    const reference = await embed();
    let isOver = false;
    const answers: Promise<unknown>[] = [];
    const coming = (async () => {
      while (!isOver) {
        answers.push(embed());
        await answers.at(-1);
      }
    })();
    for (let i = 0; i < 4; i++) await model.unload();
    isOver = true;
    await coming;
    expect(answers.length).toBeGreaterThan(0);
    for (const answer of await Promise.all(answers)) expect(answer).toEqual(reference);
  });

  it('says why it could not be loaded, and tries again at the next use', async () => {
    problem = new Error('the disk has gone');
    const failures = await Promise.allSettled([embed(), embed()]);
    for (const failure of failures) {
      expect(failure).toMatchObject({
        status: 'rejected',
        reason: { code: 'internal', message: "The model mine can't be loaded: the disk has gone" },
      });
    }
    expect([model.status, model.failure]).toEqual(['failed', 'the disk has gone']);
    problem = undefined;
    await embed();
    expect([model.status, model.failure]).toEqual(['ready', undefined]);
  });

  it('takes no more requests when it is closed', async () => {
    const last = embed();
    await model.close();
    await last;
    await expect(embed()).rejects.toMatchObject({ code: 'not-found' });
    for (const { processIds } of opened) expect(processIds).toEqual([]);
  });
});
