import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { DinoError } from '#dino/errors.js';
import { FeatureExtractor } from '#dino/inference/feature-extractor.js';
import { Places } from '#dino/inference/places.js';
import { verifyModelFile } from '#dino/models/model-folder.js';
import { ModelRegistry } from '#dino/models/model-registry.js';
import { copyModel, editManifest, installTiny } from '../../support/installed-models.js';

/** Holds a `models` folder with two installed models; copied for each test. */
let template: string;
beforeAll(async () => {
  template = await mkdtemp(join(tmpdir(), 'dino-models-'));
  await installTiny(template, 'tiny', 'vit-huggingface');
  await installTiny(template, 'conv', 'resnet.pth');
});
afterAll(() => rm(template, { recursive: true }));

const folders: string[] = [];
const registries: ModelRegistry[] = [];
afterEach(async () => {
  await Promise.all(registries.splice(0).map((registry) => registry.close()));
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

/** A data folder with the models, and an empty one in place of those that come with the service. */
async function makePlace(): Promise<{ dataDir: string; installed: string; bundled: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-registry-'));
  folders.push(dataDir);
  await cp(template, dataDir, { recursive: true });
  const bundled = join(dataDir, 'bundled');
  await mkdir(bundled);
  return { dataDir, installed: join(dataDir, 'models'), bundled };
}

async function openRegistry(
  places: { installed: string; bundled: string },
  defaultModel = 'tiny',
): Promise<{ registry: ModelRegistry; warnings: string[]; opened: string[] }> {
  const warnings: string[] = [];
  const opened: string[] = [];
  const registry = await ModelRegistry.open({
    folders: { installed: places.installed, bundled: places.bundled },
    defaultModel,
    places: new Places(100),
    onWarning: (message) => warnings.push(message),
    open: (manifest, folder) => {
      opened.push(manifest.name);
      const settings = { providers: ['cpu'], workers: 1, threads: 1, maxBatch: 4 };
      const verify = () => verifyModelFile(folder, manifest);
      const modelPath = join(folder, manifest.file.path);
      return FeatureExtractor.create({ manifest, modelPath, verify, ...settings });
    },
  });
  registries.push(registry);
  return { registry, warnings, opened };
}

const anyone = async () => undefined;
const statuses = async (registry: ModelRegistry) =>
  (await registry.list()).models.map(({ name, extractor }) => [name, extractor.status]);

/** Waits until the registry has no such model. */
async function untilRefused(registry: ModelRegistry, name: string): Promise<void> {
  for (;;) {
    const problem = await registry.get(name).then(
      () => undefined,
      (error: DinoError) => error,
    );
    if (problem !== undefined) return expect(problem.code).toBe('not-found');
    await new Promise(setImmediate);
  }
}

describe('ModelRegistry', () => {
  it('opens the default model alone, and another on its first use', async () => {
    const { registry, opened, warnings } = await openRegistry(await makePlace());
    expect(await statuses(registry)).toEqual([
      ['conv', 'available'],
      ['tiny', 'ready'],
    ]);
    await Promise.all([registry.load('conv'), registry.load('conv')]);
    expect(opened).toEqual(['tiny', 'conv']);
    await registry.unload('conv');
    expect(await statuses(registry)).toEqual([
      ['conv', 'available'],
      ['tiny', 'ready'],
    ]);
    await expect(registry.unload('tiny')).rejects.toMatchObject({ code: 'conflict' });
    expect(warnings).toEqual([]);
  });

  it('starts without a folder of installed models, and finds what is installed later', async () => {
    const place = await makePlace();
    await cp(join(place.installed, 'tiny'), join(place.bundled, 'tiny'), { recursive: true });
    await rm(place.installed, { recursive: true });
    const { registry } = await openRegistry(place);
    await expect(registry.get('conv')).rejects.toMatchObject({
      code: 'not-found',
      message: 'There is no model conv. There are: tiny.',
    });
    await cp(join(template, 'models', 'conv'), join(place.installed, 'conv'), { recursive: true });
    const model = await registry.load('conv');
    expect([model.source, registry.default.source]).toEqual(['installed', 'bundled']);
    expect(() => registry.requireFeatures(model, ['attention'])).toThrow(/Models that have: tiny\.$/);
  });

  it('tells of folders that can not be used, once, and goes on; what is being written is not looked at', async () => {
    const place = await makePlace();
    await mkdir(join(place.installed, 'half'));
    await cp(join(place.installed, 'conv'), join(place.installed, '.installing-x-1'), { recursive: true });
    await editManifest(join(place.installed, '.installing-x-1'), () => ({}));
    await cp(join(place.installed, 'conv'), join(place.installed, 'wrong-name'), { recursive: true });
    await copyModel(place.dataDir, 'conv', 'uneven');
    await editManifest(join(place.installed, 'uneven'), (manifest) => ({
      ...manifest,
      input: { ...manifest.input, multipleOf: 16 },
    }));
    const { registry, warnings } = await openRegistry(place);
    const { models, unusable } = await registry.list();
    expect(models.map(({ name }) => name)).toEqual(['conv', 'tiny']);
    expect(unusable.map(({ name, source, reason }) => [name, source, reason])).toEqual([
      ['half', 'installed', expect.stringMatching(/manifest\.json can't be read as JSON \(ENOENT\)$/)],
      ['uneven', 'installed', expect.stringMatching(/multipleOf 16 is no multiple of .*patchSize 32$/)],
      ['wrong-name', 'installed', expect.stringMatching(/^its manifest is that of conv/)],
    ]);
    expect(warnings).toHaveLength(3);
    await expect(registry.get('half')).rejects.toThrow(/^The model half can't be used: /);
    await registry.remove('half', anyone);
    await expect(registry.get('half')).rejects.toMatchObject({ code: 'not-found' });
    expect(warnings).toHaveLength(3);
  });

  it('does not start without its default model, and says what is wrong with it', async () => {
    const place = await makePlace();
    await expect(openRegistry(place, 'nobody')).rejects.toThrow(
      /^the model nobody is not in .*there are: conv, tiny$/,
    );
    await writeFile(join(place.installed, 'tiny', 'model.onnx'), 'something else');
    await expect(openRegistry(place)).rejects.toThrow(
      /tiny can't be loaded: the SHA-256 of .*not .*manifest$/,
    );
    await writeFile(join(place.installed, 'tiny', 'manifest.json'), '{');
    await expect(openRegistry(place)).rejects.toThrow(/^the model tiny can't be used: .*JSON/);
  });

  it('prefers a model that came with the service to an installed one of the same name', async () => {
    const place = await makePlace();
    await cp(join(place.installed, 'conv'), join(place.bundled, 'conv'), { recursive: true });
    await editManifest(join(place.bundled, 'conv'), (manifest) => ({ ...manifest, description: 'mine' }));
    const { registry } = await openRegistry(place);
    expect(await registry.get('conv')).toMatchObject({
      source: 'bundled',
      manifest: { description: 'mine' },
    });
    const { unusable } = await registry.list();
    expect(unusable).toMatchObject([{ name: 'conv', source: 'installed' }]);
    expect(unusable[0]!.reason).toContain(join(place.bundled, 'conv'));
    await expect(registry.remove('conv', anyone)).rejects.toMatchObject({ code: 'conflict' });
    expect(await readdir(place.installed)).toContain('conv');
  });

  it('knows two names of one fingerprint apart: the wanted one, else the one in memory', async () => {
    const place = await makePlace();
    await copyModel(place.dataDir, 'conv', 'again');
    const { registry } = await openRegistry(place);
    const { fingerprint } = await registry.get('conv');
    const find = async (preferred: string) =>
      (await registry.findByFingerprint(fingerprint, preferred))?.name;
    expect([await find('conv'), await find('again'), await find('gone')]).toEqual(['conv', 'again', 'again']);
    await registry.load('conv');
    expect([await find('gone'), await find('again')]).toEqual(['conv', 'again']);
    expect(await registry.findByFingerprint('0'.repeat(64), 'conv')).toBeUndefined();
    let twins: readonly string[] = [];
    await registry.remove('conv', async (_, others) => void (twins = others));
    expect(twins).toEqual(['again']);
    expect(await find('conv')).toBe('again');
  });

  it('keeps what is in memory when its folder is replaced, and takes the new one after it was unloaded', async () => {
    const place = await makePlace();
    const { registry } = await openRegistry(place);
    const before = await registry.load('conv');
    await rm(join(place.installed, 'conv'), { recursive: true });
    await copyModel(place.dataDir, 'tiny', 'conv');
    expect(await registry.get('conv')).toBe(before);
    await registry.unload('conv');
    const after = await registry.load('conv');
    expect(after.fingerprint).toBe(registry.default.fingerprint);
    await expect(before.extractor.load()).rejects.toMatchObject({ code: 'not-found' });
  });

  it('tells of a damaged file when it is loaded, and loads it when it is whole again', async () => {
    const place = await makePlace();
    const file = join(place.installed, 'conv', 'model.onnx');
    const { registry } = await openRegistry(place);
    await writeFile(file, 'cut off');
    await expect(registry.load('conv')).rejects.toThrow(/^The model conv can't be loaded: the SHA-256 of /);
    expect(await statuses(registry)).toContainEqual(['conv', 'failed']);
    await cp(join(template, 'models', 'conv', 'model.onnx'), file);
    await registry.load('conv');
    expect(await statuses(registry)).toContainEqual(['conv', 'ready']);
  });

  it('checks the external weights too', async () => {
    const place = await makePlace();
    await writeFile(join(place.installed, 'conv', 'model.onnx.data'), 'weights');
    await editManifest(join(place.installed, 'conv'), (manifest) => ({
      ...manifest,
      file: { ...manifest.file, data: { path: 'model.onnx.data', sha256: '0'.repeat(64), bytes: 7 } },
    }));
    const { registry } = await openRegistry(place);
    await expect(registry.load('conv')).rejects.toThrow(/SHA-256 of .*model\.onnx\.data is/);
  });

  it('removes a model once the requests that use it have gone, and nothing is left of it', async () => {
    const place = await makePlace();
    await mkdir(join(place.installed, '.removed-old-1-2'));
    const { registry } = await openRegistry(place);
    expect(await readdir(place.installed)).not.toContain('.removed-old-1-2');
    const model = await registry.get('conv');
    let leave!: () => void;
    const using = model.extractor.withPlaces(1, async () => {
      await new Promise<void>((resolve) => (leave = resolve));
      return model.extractor.extract({ data: new Uint8Array(64 * 64 * 3), width: 64, height: 64 }, [
        'embedding',
      ]);
    });
    await model.extractor.load();
    const removing = registry.remove('conv', anyone);
    await untilRefused(registry, 'conv');
    leave();
    expect((await using).embedding).toHaveLength(model.manifest.architecture.embedDim);
    await removing;
    expect(await readdir(place.installed)).toEqual(['tiny']);
    await expect(registry.remove('tiny', anyone)).rejects.toMatchObject({ code: 'conflict' });
    await expect(registry.remove('conv', anyone)).rejects.toMatchObject({ code: 'not-found' });
  });

  it('keeps a model that the check keeps, and lets nobody remove it while it is held', async () => {
    const { registry } = await openRegistry(await makePlace());
    const kept = registry.remove('conv', async () => {
      throw new Error('kept');
    });
    await expect(kept).rejects.toThrow('kept');
    const order: string[] = [];
    let begin!: () => void;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    let leave!: () => void;
    const holding = registry.whileInstalled('conv', async () => {
      begin();
      await new Promise<void>((resolve) => (leave = resolve));
      order.push('left');
    });
    await begun;
    const removing = registry.remove('conv', async () => void order.push('checked'));
    await new Promise(setImmediate);
    leave();
    await Promise.all([holding, removing]);
    expect(order).toEqual(['left', 'checked']);
    await expect(registry.whileInstalled('conv', anyone)).rejects.toMatchObject({ code: 'not-found' });
  });
});
