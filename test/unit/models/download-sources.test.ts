import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findInCatalog, pathBelowBase } from '#dino/models/importing/catalog.js';
import { Checksums } from '#dino/models/download/checksums.js';
import { FileGetter } from '#dino/models/download/file-getter.js';
import { HttpClient } from '#dino/models/download/http-client.js';
import { getHubRepository, hubHeaders, parseHubRepository } from '#dino/models/download/hub-repository.js';
import { readLicence } from '#dino/models/download/model-card.js';
import { readOrigin, type Origin } from '#dino/models/download/origin.js';
import { FileServer } from '../../support/file-server.js';

const { url } = findInCatalog('dino-vits16')!;
const PATH = pathBelowBase(url);
const WEIGHTS = Buffer.from('these are the weights');

let folder: string;
let checksums: Checksums;
let server: FileServer;
let client: HttpClient;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dino-sources-test-'));
  await mkdir(join(folder, 'downloads'));
  checksums = new Checksums(join(folder, 'checksums.json'));
  server = await FileServer.start();
  client = new HttpClient();
});
afterEach(async () => {
  client.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

function getter(origin: Origin = { kind: 'mirror', base: server.url }): FileGetter {
  return new FileGetter({ origin, folder: join(folder, 'downloads'), checksums, client });
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

async function write(path: string, content: string | Buffer): Promise<string> {
  const whole = join(folder, path);
  await mkdir(dirname(whole), { recursive: true });
  await writeFile(whole, content);
  return whole;
}

describe('a published file', () => {
  it('is recorded at its first download, by its public address, and held against that ever after', async () => {
    server.put(PATH, WEIGHTS, { etag: '"one"' });
    const first = await getter().get(url);
    expect(first).toMatchObject({
      sha256: sha256(WEIGHTS),
      bytes: WEIGHTS.length,
      from: `${server.url}${PATH}`,
      isFirst: true,
    });
    expect(JSON.parse(await readFile(checksums.path, 'utf8'))).toEqual({
      [url]: {
        sha256: sha256(WEIGHTS),
        bytes: WEIGHTS.length,
        from: `${server.url}${PATH}`,
        etag: '"one"',
        recorded: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      },
    });
    await rm(first.path);
    expect(await getter().get(url)).toMatchObject({ isFirst: false });
  });

  it('is refused when it is another file than at its first download, and the reason is told', async () => {
    server.put(PATH, WEIGHTS, { etag: '"one"' });
    const { path } = await getter().get(url);
    await rm(path);
    const changed = Buffer.from('these are other weights');
    server.put(PATH, changed, { etag: '"two"', lastModified: 'Fri, 30 Apr 2021 13:00:00 GMT' });
    await expect(getter().get(url)).rejects.toThrow(
      new RegExp(
        `is not the file that was first downloaded on \\S+ from \\S+: its SHA-256 is ${sha256(changed)}, not ${sha256(WEIGHTS)} ` +
          `\\(23 bytes, not 21; ETag "two", not "one"; last modified Fri, .*\\)\\. It was not used\\. .* remove "${url}" from \\S+checksums\\.json`,
      ),
    );
    expect(await readdir(join(folder, 'downloads'))).toEqual([]);
  });

  it('is not downloaded again when it was kept and is still right', async () => {
    server.put(PATH, WEIGHTS);
    await getter().get(url);
    await getter().get(url);
    expect(server.requests).toHaveLength(1);
  });

  it('is downloaded again when what was kept is damaged', async () => {
    server.put(PATH, WEIGHTS);
    const { path } = await getter().get(url);
    await writeFile(path, 'rotten');
    await getter().get(url);
    expect(await readFile(path)).toEqual(WEIGHTS);
  });

  it('is forgotten again when it proves to be useless', async () => {
    server.put(PATH, WEIGHTS);
    const one = getter();
    const { path } = await one.get(url);
    await one.forgetFirst();
    expect(JSON.parse(await readFile(checksums.path, 'utf8'))).toEqual({});
    await expect(readFile(path)).rejects.toThrow('ENOENT');
  });

  it.each([PATH, 'dino_deitsmall16_pretrain.pth'])('is found in a folder as %s', async (place) => {
    const path = await write(`usb/${place}`, WEIGHTS);
    const origin = await readOrigin(join(folder, 'usb'));
    expect(await getter(origin).get(url)).toMatchObject({
      path,
      from: path,
      sha256: sha256(WEIGHTS),
      isFirst: true,
    });
  });

  it('of a folder is held against the first download too', async () => {
    server.put(PATH, WEIGHTS);
    await getter().get(url);
    await write('usb/dino_deitsmall16_pretrain.pth', 'other');
    await expect(getter(await readOrigin(join(folder, 'usb'))).get(url)).rejects.toThrow(
      /is not the file that was first/,
    );
    expect(await readFile(join(folder, 'usb/dino_deitsmall16_pretrain.pth'), 'utf8')).toBe('other');
  });

  it('that is not in the folder is named with the places where it may lie', async () => {
    await mkdir(join(folder, 'usb'));
    await expect(getter(await readOrigin(join(folder, 'usb'))).get(url)).rejects.toThrow(
      /usb has no dino_deitsmall16_pretrain\.pth\. Put the file of https:\S+ there, under its name or as /,
    );
  });

  it('can not be had with a damaged list of checksums', async () => {
    await writeFile(checksums.path, '{"https://x": {"sha256": 7}}');
    server.put(PATH, WEIGHTS);
    await expect(getter().get(url)).rejects.toThrow(/checksums\.json is damaged\. Restore it/);
  });
});

describe('--from', () => {
  it('is a URL, a folder, or left out', async () => {
    expect(await readOrigin(undefined)).toEqual({ kind: 'public' });
    expect(await readOrigin('https://mirror.example/dino')).toEqual({
      kind: 'mirror',
      base: 'https://mirror.example/dino/',
    });
    expect(await readOrigin(folder)).toEqual({ kind: 'folder', path: folder });
  });

  it.each(['/nowhere/at/all', 'ftp://mirror.example/', 'http://'])('is not %s', async (from) => {
    await expect(readOrigin(from)).rejects.toThrow(/is neither a folder nor a URL|is not a URL/);
  });
});

describe("a repository's name", () => {
  it('has an owner, a name and perhaps a revision', () => {
    expect(parseHubRepository('facebook/dino-vits16')).toEqual({
      owner: 'facebook',
      name: 'dino-vits16',
      revision: 'main',
    });
    expect(parseHubRepository('a/b@refs/pr/1')).toEqual({ owner: 'a', name: 'b', revision: 'refs/pr/1' });
  });

  it.each(['dino-vits16', 'a/b/c', '../a', 'a/..', 'a/b@../c', 'a/b@', 'https://huggingface.co/a/b'])(
    'is not %s',
    (text) => {
      expect(parseHubRepository(text)).toBeUndefined();
    },
  );

  it("brings the hub's token to the hub alone, and never in the clear", () => {
    const sent = { authorization: 'Bearer hf_x' };
    expect(hubHeaders(new URL('https://huggingface.co/a/b/resolve/main/c'), 'hf_x')).toEqual(sent);
    for (const other of [
      'http://huggingface.co/a',
      'https://cdn-lfs.huggingface.co/a',
      'https://huggingface.co.evil.example/',
      'https://huggingface.co:444/',
      'http://127.0.0.1/',
    ]) {
      expect(hubHeaders(new URL(other), 'hf_x')).toEqual({});
    }
    expect(hubHeaders(new URL('https://huggingface.co/a'), undefined)).toEqual({});
  });
});

describe('a repository of the hub', () => {
  const repository = parseHubRepository('someone/small-dino')!;
  const COMMIT = 'c0ffee'.repeat(6) + 'c0ff';
  const base = 'someone/small-dino/resolve';

  function put(file: string, content: string | Buffer, revision = COMMIT): void {
    server.put(`${base}/${revision}/${file}`, Buffer.from(content));
  }

  beforeEach(() => {
    server.put(`${base}/main/config.json`, Buffer.from('{}'), { headers: { 'x-repo-commit': COMMIT } });
  });

  it('is taken as safetensors where it has them, all files of one commit', async () => {
    put('model.safetensors', WEIGHTS);
    put('pytorch_model.bin', 'not wanted');
    put('README.md', '---\nlicense: mit\n---\n# Small');
    const { weights, licence, folder: got } = await getHubRepository(repository, getter());
    expect(weights).toMatchObject([{ sha256: sha256(WEIGHTS) }]);
    expect(licence).toEqual({ name: 'MIT', url: undefined });
    expect(await readdir(got)).toEqual(['README.md', 'config.json', 'model.safetensors']);
    expect(Object.keys(JSON.parse(await readFile(checksums.path, 'utf8')))).toEqual([
      `https://huggingface.co/${base}/main/config.json`,
      `https://huggingface.co/${base}/main/model.safetensors`,
    ]);
  });

  it('is taken in shards where its index names them', async () => {
    const names = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    put(
      'model.safetensors.index.json',
      JSON.stringify({ weight_map: { a: names[1], b: names[0], c: names[1] } }),
    );
    for (const name of names) put(name, name);
    const { weights } = await getHubRepository(repository, getter());
    expect(weights.map(({ path }) => path.split('/').at(-1))).toEqual(names);
  });

  it('is taken as a pickle where there is nothing else', async () => {
    put('pytorch_model.bin', WEIGHTS);
    const { weights, licence } = await getHubRepository(repository, getter());
    expect(weights).toHaveLength(1);
    expect(licence).toBeUndefined();
  });

  it('without weights is named', async () => {
    await expect(getHubRepository(repository, getter())).rejects.toThrow(
      /^someone\/small-dino has neither model\.safetensors nor pytorch_model\.bin/,
    );
  });

  it.each(['../../../etc/passwd', 'a/b.safetensors', '.hidden', 7])(
    'refuses an index that names %j',
    async (name) => {
      put('model.safetensors.index.json', JSON.stringify({ weight_map: { a: name } }));
      await expect(getHubRepository(repository, getter())).rejects.toThrow(
        /as a part of the weights; refused\.$/,
      );
    },
  );

  it('refuses what is not the file that the hub means', async () => {
    put('real', WEIGHTS);
    server.redirects.set(`${base}/${COMMIT}/model.safetensors`, {
      to: `/${base}/${COMMIT}/real`,
      headers: { 'x-linked-etag': `"${'0'.repeat(64)}"` },
    });
    await expect(getHubRepository(repository, getter())).rejects.toThrow(/did not arrive as the hub has it/);
  });

  it.each(['someone/small-dino', 'small-dino', '.'])('is found in a folder below %s', async (place) => {
    await write(`usb/${place}/config.json`, '{}');
    await write(`usb/${place}/model.safetensors`, WEIGHTS);
    const origin = await readOrigin(join(folder, 'usb'));
    const { folder: got } = await getHubRepository(repository, getter(origin));
    expect(got).toBe(join(folder, 'usb', place));
  });

  it('must lie in one folder', async () => {
    await write('usb/small-dino/config.json', '{}');
    await write('usb/model.safetensors', WEIGHTS);
    const origin = await readOrigin(join(folder, 'usb'));
    await expect(getHubRepository(repository, getter(origin))).rejects.toThrow(/is not beside /);
  });
});

describe("a model card's licence", () => {
  it.each([
    ['license: apache-2.0', { name: 'Apache-2.0' }],
    ['tags:\n- dino\nlicense: "cc-by-nc-4.0"\nother: x', { name: 'CC-BY-NC-4.0' }],
    ['license:\n- mit', { name: 'MIT' }],
    ['license: openrail # as it says', { name: 'openrail' }],
    [
      'license: other\nlicense_name: dinov3-license\nlicense_link: https://ai.meta.com/dinov3-license',
      { name: 'dinov3-license', url: 'https://ai.meta.com/dinov3-license' },
    ],
    ['license: other\nlicense_link: LICENSE.md', { name: 'other' }],
  ])('is read from %j', (header, licence) => {
    expect(readLicence(`---\n${header}\n---\n\n# A model\nlicense: not this one`)).toEqual(licence);
  });

  it.each(['', '# A model\nlicense: mit', '---\ntags: [x]\n---\n', '---\nlicense:\n---\n'])(
    'is not read from %j',
    (card) => {
      expect(readLicence(card)).toBeUndefined();
    },
  );
});
