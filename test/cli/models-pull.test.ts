import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, request as requestHttp } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CATALOG, findInCatalog, pathBelowBase } from '#dino/models/importing/catalog.js';
import { vitShapes, writeBlankCheckpoint } from '../support/blank-checkpoint.js';
import { FileServer } from '../support/file-server.js';
import { finishDino, runDino, runDinoJson, spawnDino } from './dino-process.js';
import { makeFolder } from './photo-folder.js';

const TINY = await readFile(fileURLToPath(new URL('../golden/checkpoints/vit-zip.pth', import.meta.url)));
const REPOSITORY = 'someone/tiny-dino';
const BASE = `${REPOSITORY}/resolve/main/`;

let root: string;
let server: FileServer;
let environment: Record<string, string>;
beforeEach(async () => {
  root = await makeFolder();
  environment = { DINO_DATA_DIR: join(root, 'data') };
  server = await FileServer.start();
  server.put(`${BASE}config.json`, Buffer.from('{"num_attention_heads": 2}'));
  server.put(`${BASE}pytorch_model.bin`, TINY);
  server.put(`${BASE}README.md`, Buffer.from('---\nlicense: apache-2.0\n---\n'));
});
afterEach(async () => {
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

function pull(...args: string[]) {
  return runDino(['models', 'pull', REPOSITORY, '--from', server.url, ...args], { environment });
}

/** What lies in the folder of the installed models. */
async function models(): Promise<string[]> {
  const names = await readdir(join(root, 'data/models')).catch(() => []);
  return names.sort();
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

function requestsFor(file: string) {
  return server.requests.filter(({ path }) => path === BASE + file);
}

describe('dino models pull', () => {
  it('downloads, shows the licence, installs, and keeps nothing but the model and its checksum', async () => {
    const { code, stdout, stderr } = await pull();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toMatch(
      new RegExp(
        `^pytorch_model\\.bin: [\\d.]+ kB from ${server.url}\\S+, SHA-256 ${sha256(TINY)}, recorded in \\S+checksums\\.json$`,
      ),
    );
    expect(lines[1]).toBe(`licence: Apache-2.0 (https://huggingface.co/${REPOSITORY})`);
    expect(lines[2]).toMatch(/^recognised: vit_/);
    expect(lines[3]).toMatch(/^installed tiny-dino: /);
    expect(lines[5]).toBe('next: dino embed photo.jpg --model tiny-dino');
    expect(await models()).toEqual(['checksums.json', 'tiny-dino']);
    const manifest = JSON.parse(await readFile(join(root, 'data/models/tiny-dino/manifest.json'), 'utf8'));
    expect(manifest).toMatchObject({
      source: { from: `${server.url}${BASE}pytorch_model.bin`, sha256: sha256(TINY), format: 'huggingface' },
      licence: 'Apache-2.0',
      licenceUrl: `https://huggingface.co/${REPOSITORY}`,
    });
  });

  it('goes on where the connection was cut, and says so', async () => {
    const path = join(root, 'model.safetensors');
    await writeBlankCheckpoint(path, vitShapes({ width: 192, depth: 2, patch: 16 }));
    const bytes = await readFile(path);
    server.put(`${BASE}model.safetensors`, bytes, { faults: [{ cutAfter: bytes.length / 2 }] });
    const { code, stderr } = await pull('--crop', '32');
    expect(code).toBe(0);
    expect(stderr).toMatch(/^127\.0\.0\.1:\d+: the connection was cut; trying again in 1 s\n$/);
    expect(requestsFor('model.safetensors')[1]!.headers.range).toMatch(/^bytes=[1-9]\d+-$/);
  });

  it('is interrupted by Ctrl-C, and the same command goes on from there', async () => {
    server.files.get(`${BASE}pytorch_model.bin`)!.faults = [{ stallAfter: 20_000 }];
    const child = spawnDino(['models', 'pull', REPOSITORY, '--from', server.url], { environment });
    const finished = finishDino(child);
    await server.stalled;
    child.kill('SIGINT');
    expect(await finished).toMatchObject({
      code: 130,
      stderr: 'dino: interrupted; what is downloaded is kept, the same command goes on from there\n',
    });
    expect(await models()).toEqual(['.downloads', 'checksums.json']);
    expect((await pull()).code).toBe(0);
    expect(await models()).toEqual(['checksums.json', 'tiny-dino']);
  });

  it('keeps the checkpoint when it is told to, and needs no second download for another precision', async () => {
    await pull('--keep-checkpoint');
    expect(await models()).toEqual(['.downloads', 'checksums.json', 'tiny-dino']);
    const { stdout } = await pull('--precision', 'fp16');
    expect(stdout).toContain('as at its first download');
    expect(requestsFor('pytorch_model.bin')).toHaveLength(1);
    expect(await models()).toEqual(['checksums.json', 'tiny-dino', 'tiny-dino-fp16']);
  });

  it('refuses a file that is another than at its first download', async () => {
    await pull();
    const changed = Buffer.from(TINY);
    changed[changed.length - 200]! ^= 1;
    server.put(`${BASE}pytorch_model.bin`, changed, { etag: '"changed"' });
    const { code, stderr } = await pull('--name', 'again');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^dino: \S+ is not the file that was first downloaded on .*ETag "changed", not .*\n$/,
    );
    expect(await models()).not.toContain('again');
  });

  it('forgets what turns out to be no model, so that the right one can be pulled later', async () => {
    server.put(`${BASE}pytorch_model.bin`, Buffer.from('<html>Please log in</html>'));
    const { code, stderr } = await pull();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dino: [^\n]+pytorch_model\.bin[^\n]+\n$/);
    expect(await models()).not.toContain('tiny-dino');
    server.put(`${BASE}pytorch_model.bin`, TINY);
    expect((await pull()).code).toBe(0);
  });

  it.each(['a folder', 'a folder with the files alone'])('needs no network with --from %s', async (kind) => {
    const place = kind === 'a folder' ? join('usb', REPOSITORY) : 'usb';
    for (const file of ['config.json', 'pytorch_model.bin']) {
      const path = join(root, place, file);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, server.files.get(BASE + file)!.bytes);
    }
    const args = ['models', 'pull', REPOSITORY, '--from', join(root, 'usb')];
    const { name, manifest } = await runDinoJson(args, { environment });
    expect({ name, licence: manifest.licence }).toEqual({ name: 'tiny-dino', licence: 'unknown' });
    expect(server.requests).toEqual([]);
    expect(await readdir(join(root, place))).toEqual(['config.json', 'pytorch_model.bin']);
  });

  it('goes through the proxy of the environment', async () => {
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(new URL(request.url!).host);
      requestHttp(request.url!, { headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      }).end();
    });
    await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
    environment.HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    expect(await pull()).toMatchObject({ code: 0, stderr: '' });
    expect(asked).toContain(new URL(server.url).host);
    asked.length = 0;
    environment.NO_PROXY = '127.0.0.1';
    expect(await pull('--replace')).toMatchObject({ code: 0, stderr: '' });
    expect(asked).toEqual([]);
    proxy.close();
  });

  it("does not show the hub's token to a mirror", async () => {
    environment.HF_TOKEN = 'hf_secret';
    await pull();
    expect(server.requests.length).toBeGreaterThan(3);
    for (const { headers } of server.requests) expect(headers.authorization).toBeUndefined();
  });

  it('does not begin what another process is doing already', async () => {
    server.files.get(`${BASE}pytorch_model.bin`)!.faults = [{ stallAfter: 20_000 }];
    const child = spawnDino(['models', 'pull', REPOSITORY, '--from', server.url], { environment });
    const finished = finishDino(child);
    await server.stalled;
    const { code, stderr } = await pull();
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^dino: someone--tiny-dino is being pulled already, by process ${child.pid}\\.`),
    );
    child.kill('SIGINT');
    await finished;
  });

  it('installs a model of the catalogue with its published accuracy, its licence and its true shapes', async () => {
    const { url, published } = findInCatalog('dino-vits16')!;
    const path = join(root, 'mirror', pathBelowBase(url));
    await mkdir(dirname(path), { recursive: true });
    await writeBlankCheckpoint(path, vitShapes({ width: 384, depth: 12, patch: 16 }));
    const args = ['models', 'pull', 'dino-vits16', '--from', join(root, 'mirror')];
    const { manifest } = await runDinoJson(args, { environment });
    expect(manifest).toMatchObject({
      name: 'dino-vits16',
      description: 'DINO ViT-S/16, pretrained by its authors',
      architecture: {
        family: 'vit',
        variant: 'vit_small',
        patchSize: 16,
        embedDim: 384,
        depth: 12,
        heads: 6,
      },
      preprocessing: { resize: 256, crop: 224 },
      evaluation: {
        published: { dataset: 'ImageNet-1k', knnTop1: 74.5, linearTop1: 77, source: published.source },
      },
      licence: 'Apache-2.0',
    });
  });

  it('refuses another model than the name says', async () => {
    server.put(pathBelowBase(findInCatalog('dino-vits8')!.url), TINY);
    const path = join(root, 'vits16.safetensors');
    await writeBlankCheckpoint(path, vitShapes({ width: 384, depth: 12, patch: 16 }));
    server.put(pathBelowBase(findInCatalog('dino-vits8')!.url), await readFile(path));
    const { code, stderr } = await runDino(['models', 'pull', 'dino-vits8', '--from', server.url], {
      environment,
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^dino: The file holds another model than its name says: vit vit_small with patches of 16 px, not vit vit_small with patches of 8 px\. Check what --from leads to\.\n$/,
    );
    expect(JSON.parse(await readFile(join(root, 'data/models/checksums.json'), 'utf8'))).toEqual({});
  });

  it('lists what there is with its published accuracy', async () => {
    const { code, stdout } = await runDino(['models', 'pull', '--list']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^name +model +k-NN % +linear % +licence\ndino-vits16 +DINO ViT-S\/16 +74\.5 +77\.0 +Apache-2\.0\n/,
    );
    expect(stdout.trimEnd().split('\n')).toHaveLength(CATALOG.length + 1);
    const listed = await runDinoJson(['models', 'pull', '--list']);
    expect(listed.map(({ name }: { name: string }) => name)).toEqual(CATALOG.map(({ name }) => name));
  });

  it.each([
    [['models', 'pull'], /^dino: give the name of a model, or --list/],
    [
      ['models', 'pull', 'dino-vits32'],
      /^dino: there is no published model dino-vits32\. There are: dino-vits16, /,
    ],
    [
      ['models', 'pull', 'dinov3-vits16'],
      /^dino: the weights of DINOv3 are given to those alone who ask for them: .* models import /,
    ],
  ])('dino %j ends with 2 and one line', async (args, line) => {
    const { code, stdout, stderr } = await runDino(args, { environment });
    expect(stderr).toMatch(line);
    expect({ code, stdout, lines: stderr.split('\n').length }).toEqual({ code: 2, stdout: '', lines: 2 });
  });

  it.each([
    ['/nowhere', /^dino: \/nowhere is neither a folder nor a URL/],
    ['EMPTY', /^dino: \S+ has no config\.json\. Put the file of https:\S+ there/],
    ['SERVER', /^dino: There is no http:\S+config\.json \(404\)\./],
  ])('says what is wrong with --from %s', async (from, line) => {
    await mkdir(join(root, 'empty'));
    const where = from.replace('EMPTY', join(root, 'empty')).replace('SERVER', `${server.url}elsewhere/`);
    const { code, stderr } = await runDino(['models', 'pull', REPOSITORY, '--from', where], { environment });
    expect(code).toBe(1);
    expect(stderr).toMatch(line);
    expect(await models()).toEqual([]);
  });
});
