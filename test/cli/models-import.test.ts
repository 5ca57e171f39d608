import { cp, mkdir, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { vitShapes, writeBlankCheckpoint } from '../support/blank-checkpoint.js';
import { runDino, runDinoJson } from './dino-process.js';
import { makeFolder } from './photo-folder.js';

const CHECKPOINTS = fileURLToPath(new URL('../golden/checkpoints', import.meta.url));
const ONNX = fileURLToPath(new URL('../golden/onnx', import.meta.url));
const TINY = join(CHECKPOINTS, 'vit-zip.pth');
const MODELS = fileURLToPath(new URL('../../models', import.meta.url));

let root: string;
let options: { environment: Record<string, string> };
beforeEach(async () => {
  root = await makeFolder();
  options = { environment: { DINO_DATA_DIR: join(root, 'data') } };
});
afterEach(() => rm(root, { recursive: true, force: true }));

function importModel(path: string, ...args: string[]) {
  return runDino(['models', 'import', path, '--heads', '2', ...args], options);
}

/** The models that are installed; half ones and locks would be among them. */
function installed(): Promise<string[]> {
  return readdir(join(root, 'data/models')).catch(() => []);
}

describe('dino models import', () => {
  it('says what it found, installs it and says how to use it', async () => {
    const { code, stdout, stderr } = await importModel(TINY, '--licence', 'CC-BY-4.0');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [licence, recognised, done, fingerprint, next] = stdout.trimEnd().split('\n');
    expect(licence).toBe('licence: CC-BY-4.0');
    expect(recognised).toBe(
      'recognised: vit_d16_l2_h2 with patches of 8 px, 2 blocks, 16 dimensions, 2 heads; it gives embedding, patch_tokens, attention, keys',
    );
    expect(done).toMatch(/^installed vit-zip: [\d.]+ kB, fp32, in \S+vit-zip$/);
    expect(fingerprint).toMatch(/^fingerprint: [0-9a-f]{64}$/);
    expect(next).toBe('next: dino embed photo.jpg --model vit-zip');
    expect(await installed()).toEqual(['vit-zip']);
    expect((await runDino(['models', 'verify'], options)).stdout).toContain('vit-zip: ok\n');
  });

  it('writes a manifest that says what it is, where it is from and how images are given to it', async () => {
    const args = ['models', 'import', TINY, '--heads', '2', '--precision', 'int8', '--crop', '96'];
    const { name, folder, fingerprint, manifest } = await runDinoJson(args, options);
    expect(name).toBe('vit-zip-int8');
    expect(folder).toBe(join(root, 'data/models', name));
    expect(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))).toEqual(manifest);
    expect(manifest).toMatchObject({
      name,
      architecture: { family: 'vit', patchSize: 8, embedDim: 16, depth: 2, heads: 2 },
      file: { path: 'model.onnx', sha256: fingerprint, precision: 'int8', opset: 18 },
      input: { multipleOf: 8 },
      preprocessing: { resize: 110, crop: 96, attentionSize: 480 },
      outputs: { embedding: { shape: ['batch', 16] }, attention: { shape: ['batch', 2, 'patches'] } },
      source: { from: 'vit-zip.pth', sha256: expect.stringMatching(/^[0-9a-f]{64}$/), format: 'pytorch' },
      licence: 'unknown',
    });
  });

  it('installs a folder of export_onnx.py as it is, with its card and log', async () => {
    const source = join(MODELS, 'dino-vitmicro16-photos');
    const refused = await runDino(
      ['models', 'import', source, '--precision', 'int8', '--name', 'copy'],
      options,
    );
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/^dino: a folder with manifest\.json is installed as it is: .*\n$/);
    const { folder, manifest } = await runDinoJson(['models', 'import', source, '--name', 'copy'], options);
    const original = JSON.parse(await readFile(join(source, 'manifest.json'), 'utf8'));
    expect(manifest).toEqual({ ...original, name: 'copy' });
    expect((await readdir(folder)).sort()).toEqual((await readdir(source)).sort());
    const damaged = join(root, 'damaged');
    await cp(source, damaged, { recursive: true });
    await truncate(join(damaged, 'model.onnx'), 1000);
    const { code, stderr } = await runDino(['models', 'import', damaged], options);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dino: The model can't be installed: the SHA-256 of .*\n$/);
    expect(await installed()).toEqual(['copy']);
  });

  it('takes the licence of a Hugging Face folder from its model card', async () => {
    const folder = join(root, 'small-dino');
    await mkdir(folder);
    await cp(TINY, join(folder, 'pytorch_model.bin'));
    await writeFile(join(folder, 'config.json'), JSON.stringify({ num_attention_heads: 2 }));
    await writeFile(join(folder, 'README.md'), '---\nlicense: cc-by-nc-4.0\n---\n');
    const { name, manifest } = await runDinoJson(['models', 'import', folder], options);
    expect({ name, licence: manifest.licence }).toEqual({ name: 'small-dino', licence: 'CC-BY-NC-4.0' });
  });

  it('refuses a Hugging Face folder whose images are normalised in another way', async () => {
    const folder = join(root, 'satellite');
    await mkdir(folder);
    await cp(TINY, join(folder, 'pytorch_model.bin'));
    await writeFile(join(folder, 'config.json'), '{}');
    const recipe = { image_mean: [0.43, 0.411, 0.296], image_std: [0.213, 0.156, 0.143] };
    await writeFile(join(folder, 'preprocessor_config.json'), JSON.stringify(recipe));
    expect(await importModel(folder)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^dino: This model wants images of image_mean \[0\.43,0\.411,0\.296\], .*\n$/,
      ),
    });
  });

  it('takes the teacher of a training checkpoint, or the student', async () => {
    const path = join(CHECKPOINTS, 'vit-training.pth');
    const teacher = await runDinoJson(['models', 'import', path, '--heads', '3'], options);
    const student = await runDinoJson(
      ['models', 'import', path, '--heads', '3', '--student', '--name', 'student'],
      options,
    );
    expect(student.fingerprint).not.toBe(teacher.fingerprint);
  });

  it('takes an ONNX file, and adds what it does not give', async () => {
    const path = join(ONNX, 'hidden-state.onnx');
    const { name, manifest } = await runDinoJson(['models', 'import', path], options);
    expect({ name, format: manifest.source.format }).toEqual({ name: 'hidden-state', format: 'onnx' });
    expect(Object.keys(manifest.outputs).sort()).toEqual(['attention', 'embedding', 'keys', 'patch_tokens']);
    const again = join(root, 'data/models/hidden-state/model.onnx');
    const own = await runDinoJson(['models', 'import', again, '--name', 'again'], options);
    expect(own.manifest.architecture).toEqual(manifest.architecture);
  });

  it.each([
    ['one-image.onnx', [], /takes images of 40x32 px alone/],
    ['hidden-state.onnx', ['--precision', 'int8'], /keeps its precision, which is fp32/],
  ])('refuses the ONNX file %s with %j', async (file, args, message) => {
    const { code, stderr } = await importModel(join(ONNX, file), ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(await installed()).toEqual([]);
  });

  it('leaves an installed model alone, unless it is told to replace it', async () => {
    await importModel(TINY, '--name', 'mine');
    const { code, stderr } = await importModel(join(CHECKPOINTS, 'vit-legacy.pth'), '--name', 'mine');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^dino: There is a model mine in .* --name, or put it in the old one's place with --replace\.\n$/,
    );
    const before = await readFile(join(root, 'data/models/mine/manifest.json'), 'utf8');
    expect((await importModel(TINY, '--name', 'mine', '--replace', '--crop', '96')).code).toBe(0);
    expect(await readFile(join(root, 'data/models/mine/manifest.json'), 'utf8')).not.toBe(before);
    expect(await installed()).toEqual(['mine']);
  });

  it('does not take the name of a model that the service brings along', async () => {
    const [bundled] = await readdir(MODELS);
    expect(await importModel(TINY, '--name', bundled!)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(new RegExp(`^dino: ${bundled} is a model of .* --name\\.\\n$`)),
    });
  });

  it.each([
    ['a truncated checkpoint', async (path: string) => truncate(path, 5000)],
    ['something else', async (path: string) => writeFile(path, '<html>not found</html>')],
    ['an empty file', async (path: string) => writeFile(path, '')],
  ])('refuses %s with one line, and leaves nothing behind', async (_, spoil) => {
    const path = join(root, 'spoilt.pth');
    await cp(TINY, path);
    await spoil(path);
    const { code, stderr } = await importModel(path);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dino: [^\n]+\n$/);
    expect(stderr).toContain('spoilt.pth');
    expect(await installed()).toEqual([]);
  });

  it('refuses a model that gives numbers which are not finite', async () => {
    const path = join(root, 'overflowing.safetensors');
    await writeBlankCheckpoint(path, vitShapes({ width: 64, depth: 1, patch: 16 }));
    const bytes = await readFile(path);
    // The last weights of the file, all of them infinite.
    bytes.fill(Buffer.from([0, 0, 0x80, 0x7f]), bytes.length - 64 * 4);
    await writeFile(path, bytes);
    const { code, stderr } = await importModel(path);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^dino: The model's \w+ holds numbers that are not finite, so it was not installed: .*\n$/,
    );
    expect(await installed()).toEqual([]);
  });

  it('refuses an architecture that contradicts the weights', async () => {
    const { code, stderr } = await importModel(TINY, '--arch', 'vit_base');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dino: [^\n]*vit_base[^\n]*\n$/);
  });

  it.each([
    [['models', 'import'], /^dino: missing required argument 'path'\n$/],
    [['models', 'import', '/nowhere/x.pth'], /^dino: \/nowhere\/x\.pth: there is no such file or folder\n$/],
    [
      ['models', 'import', TINY, '--teacher', '--student'],
      /^dino: give --teacher or --student, one of them\n$/,
    ],
    [['models', 'import', TINY, '--precision', 'fp8'], /^dino: .*--precision.*fp32, fp16, int8\.\n$/],
    [['models', 'import', TINY, '--crop', 'x'], /^dino: .*--crop.* 1 to 4096\.\n$/],
  ])('dino %j ends with 2 and one line', async (args, line) => {
    const { code, stdout, stderr } = await runDino(args, options);
    expect(stderr).toMatch(line);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('refuses a crop that does not fit the patches', async () => {
    expect(await importModel(TINY, '--crop', '100')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/multiples of 8 px, so --crop can't be 100\.\n$/),
    });
    expect(await installed()).toEqual([]);
  });
});
