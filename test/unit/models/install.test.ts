import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { asModelName, nameFromPath, withPrecision } from '#dino/cli/models/model-place.js';
import { formatBytes } from '#dino/models/download/byte-size.js';
import { importedManifest, inputSize } from '#dino/models/importing/imported-manifest.js';
import { checkName, installModel, type InstallPlace } from '#dino/models/importing/install.js';
import type { Manifest } from '#dino/models/manifest.js';
import { withProcessLock } from '#dino/models/importing/process-lock.js';

let root: string;
let modelsFolder: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-install-test-'));
  modelsFolder = join(root, 'data/models');
  await mkdir(join(root, 'bundled/dino-vitmicro16-photos'), { recursive: true });
});
afterEach(() => rm(root, { recursive: true, force: true }));

function place(options: Partial<InstallPlace> = {}): InstallPlace {
  return { modelsFolder, bundledFolder: join(root, 'bundled'), name: 'mine', replace: false, ...options };
}

const SHAPE = {
  family: 'vit',
  variant: 'vit_small',
  patchSize: 16,
  multipleOf: 16,
  embedDim: 384,
  depth: 12,
  heads: 6,
  outputs: ['embedding', 'patch_tokens', 'attention', 'keys'],
} as const;

function manifest(name = 'mine'): Manifest {
  return importedManifest({
    name,
    description: 'a test',
    converted: {
      description: SHAPE,
      format: 'pytorch',
      file: { path: '/somewhere/model.onnx', sha256: '0'.repeat(64), bytes: 5, opset: 18, precision: 'fp32' },
    },
    size: { resize: 256, crop: 224 },
    source: { from: 'weights.pth', sha256: '1'.repeat(64) },
    licence: 'unknown',
  });
}

function install(content: string, options: Partial<InstallPlace> = {}) {
  return installModel(place(options), async (folder) => {
    await writeFile(join(folder, 'model.onnx'), content);
    return manifest(options.name);
  });
}

/** The number of a process that has ended. */
async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  return child.pid!;
}

describe('installing a model', () => {
  it('puts its files and its manifest into a folder of its name, and leaves nothing else', async () => {
    const { folder } = await install('whole');
    expect(folder).toBe(join(modelsFolder, 'mine'));
    expect(await readdir(modelsFolder)).toEqual(['mine']);
    expect((await readdir(folder)).sort()).toEqual(['manifest.json', 'model.onnx']);
    expect(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))).toEqual(
      JSON.parse(JSON.stringify(manifest())),
    );
  });

  it('leaves everything as it was when it fails', async () => {
    await install('whole');
    const failing = installModel(place({ replace: true }), async (folder) => {
      await writeFile(join(folder, 'model.onnx'), 'half');
      throw new Error('it does not run');
    });
    await expect(failing).rejects.toThrow('it does not run');
    expect(await readdir(modelsFolder)).toEqual(['mine']);
    expect(await readFile(join(modelsFolder, 'mine/model.onnx'), 'utf8')).toBe('whole');
  });

  it('leaves an installed model alone, unless it is to be replaced', async () => {
    await install('first');
    await expect(install('second')).rejects.toThrow(
      /^There is a model mine in \S+ already\. Give the new one another name with --name, or .* --replace\.$/,
    );
    expect(await readFile(join(modelsFolder, 'mine/model.onnx'), 'utf8')).toBe('first');
    await install('second', { replace: true });
    expect(await readFile(join(modelsFolder, 'mine/model.onnx'), 'utf8')).toBe('second');
    expect(await readdir(modelsFolder)).toEqual(['mine']);
  });

  it('leaves a model alone that was installed in the meantime', async () => {
    const late = installModel(place(), async (folder) => {
      await writeFile(join(folder, 'model.onnx'), 'late');
      await mkdir(join(modelsFolder, 'mine'));
      await writeFile(join(modelsFolder, 'mine/model.onnx'), 'early');
      return manifest();
    });
    await expect(late).rejects.toThrow(/^Another model mine was installed in the meantime/);
    expect(await readFile(join(modelsFolder, 'mine/model.onnx'), 'utf8')).toBe('early');
    expect(await readdir(modelsFolder)).toEqual(['mine']);
  });

  it.each(['dino-vitmicro16-photos'])("does not take the name of the service's own %s", async (name) => {
    await expect(checkName(place({ name, replace: true }))).rejects.toThrow(/another name with --name\.$/);
  });

  it.each(['', 'Mine', '.mine', '../mine', 'a/b', 'a'.repeat(101)])(
    'does not take the name %j',
    async (name) => {
      await expect(install('whole', { name })).rejects.toThrow(/^A model can't be called/);
    },
  );

  it('removes what killed installations have left, and touches none that is under way', async () => {
    await mkdir(join(modelsFolder, `.installing-half-${await deadProcess()}`), { recursive: true });
    await mkdir(join(modelsFolder, `.installing-busy-${process.ppid}`));
    await mkdir(join(modelsFolder, '.downloads'));
    await install('whole');
    expect((await readdir(modelsFolder)).sort()).toEqual(
      ['.downloads', `.installing-busy-${process.ppid}`, 'mine'].sort(),
    );
  });

  it('brings an old model back whose replacement was killed between the two renames', async () => {
    const old = join(modelsFolder, `.replaced-other-model-${await deadProcess()}`);
    await mkdir(old, { recursive: true });
    await writeFile(join(old, 'model.onnx'), 'old');
    await install('whole');
    expect((await readdir(modelsFolder)).sort()).toEqual(['mine', 'other-model']);
  });
});

describe('the input size of embeddings', () => {
  it("is the authors' 224 px out of 256 unless the user says otherwise", () => {
    expect(inputSize({}, SHAPE)).toEqual({ resize: 256, crop: 224 });
    expect(inputSize({}, { multipleOf: 14 })).toEqual({ resize: 256, crop: 224 });
    expect(inputSize({ crop: 448 }, SHAPE)).toEqual({ resize: 512, crop: 448 });
    expect(inputSize({ resize: 240 }, SHAPE)).toEqual({ resize: 240, crop: 224 });
  });

  it('is the only one that the model takes, where there is but one', () => {
    const only = { multipleOf: 518, fixedSize: { height: 518, width: 518 } };
    expect(inputSize({}, only)).toEqual({ resize: 592, crop: 518 });
    expect(() => inputSize({ crop: 1036 }, only)).toThrow(/takes images of 518 px alone/);
  });

  it('is a multiple of what the model takes, and not larger than what it is cut out of', () => {
    expect(() => inputSize({ crop: 230 }, SHAPE)).toThrow(/multiples of 16 px, so --crop can't be 230\.$/);
    expect(() => inputSize({ resize: 200 }, SHAPE)).toThrow(/--resize 200 is less than the 224 px/);
  });
});

describe("a model's name", () => {
  it.each([
    ['dino_deitsmall16_pretrain.pth', 'dino_deitsmall16_pretrain'],
    ['/runs/Mine 2/checkpoint.pth', 'mine-2'],
    ['/runs/mine/checkpoint0080.pth', 'mine'],
    ['/hub/facebook/dinov2-small/', 'dinov2-small'],
    ['/hub/dinov2-small/model.safetensors', 'dinov2-small'],
    ['/x/---.onnx', 'model'],
  ])('is made of %s', (path, name) => {
    expect(nameFromPath(path)).toBe(name);
  });

  it('says its precision where that is not the usual one', () => {
    expect(withPrecision('dino-vits16', 'fp32')).toBe('dino-vits16');
    expect(withPrecision('dino-vits16', 'int8')).toBe('dino-vits16-int8');
    expect(asModelName('DINOv2.Small')).toBe('dinov2.small');
  });
});

describe('a lock', () => {
  const busy = (pid: number) => new Error(`busy with ${pid}`);

  it('keeps another process out, and counts for nothing when its process has ended', async () => {
    const path = join(root, '.lock');
    await writeFile(path, String(process.ppid));
    await expect(withProcessLock(path, busy, async () => 'done')).rejects.toThrow(
      `busy with ${process.ppid}`,
    );
    await writeFile(path, String(await deadProcess()));
    expect(await withProcessLock(path, busy, async () => 'done')).toBe('done');
    await writeFile(path, '');
    expect(await withProcessLock(path, busy, async () => 'done')).toBe('done');
    expect(await readdir(root)).not.toContain('.lock');
  });
});

describe('bytes for people', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [86_738_923, '86.7 MB'],
    [999_960, '1.0 MB'],
    [4_546_000_000, '4.5 GB'],
  ])('%d are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
