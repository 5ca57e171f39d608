import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DownloadError } from '#dino/models/download/download-error.js';
import { downloadFile, type DownloadOptions } from '#dino/models/download/download-file.js';
import { HttpClient, redirectTarget } from '#dino/models/download/http-client.js';
import { FileServer } from '../../support/file-server.js';

const CONTENT = randomBytes(1_000_000);

let folder: string;
let target: string;
let server: FileServer;
let client: HttpClient;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dino-download-test-'));
  target = join(folder, 'weights.pth');
  server = await FileServer.start();
  client = new HttpClient({ stallTimeoutMs: 30_000 });
});
afterEach(async () => {
  client.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

function download(options: Partial<DownloadOptions> = {}) {
  return downloadFile({ url: `${server.url}weights.pth`, target, client, firstDelayMs: 1, ...options });
}

/**
 * Leaves the beginning of the file behind, as an interrupted run does.
 *
 * @returns how many bytes: those that were read before the connection was seen to be cut
 */
async function interruptAt(bytes: number): Promise<number> {
  server.files.get('weights.pth')!.faults = [{ cutAfter: bytes }];
  await expect(download({ attempts: 1 })).rejects.toThrow(DownloadError);
  const { length } = await readFile(`${target}.part`);
  expect(length).toBeGreaterThan(0);
  expect(length).toBeLessThanOrEqual(bytes);
  server.requests.length = 0;
  return length;
}

async function expectWhole(content: Buffer = CONTENT): Promise<void> {
  expect(Buffer.compare(await readFile(target), content)).toBe(0);
  expect(await readdir(folder)).toEqual(['weights.pth']);
}

describe('a download', () => {
  it('arrives whole, with what tells it from a later version', async () => {
    server.put('weights.pth', CONTENT, { etag: '"one"', lastModified: 'Thu, 29 Apr 2021 13:00:00 GMT' });
    const progress: [number, number | undefined][] = [];
    const { bytes, etag, lastModified } = await download({ onProgress: (...args) => progress.push(args) });
    expect({ bytes, etag, lastModified }).toEqual({
      bytes: CONTENT.length,
      etag: '"one"',
      lastModified: 'Thu, 29 Apr 2021 13:00:00 GMT',
    });
    expect(progress[0]).toEqual([0, CONTENT.length]);
    expect(progress.at(-1)).toEqual([CONTENT.length, CONTENT.length]);
    await expectWhole();
  });

  it('goes on by itself where the connection was cut, again and again', async () => {
    server.put('weights.pth', CONTENT, {
      etag: '"one"',
      faults: [{ cutAfter: 200_000 }, { cutAfter: 300_000 }, { endAfter: 1_000 }],
    });
    const notices: string[] = [];
    await download({ attempts: 2, onNotice: (text) => notices.push(text) });
    expect(server.requests).toHaveLength(4);
    for (const { headers } of server.requests.slice(1)) {
      expect(headers.range).toMatch(/^bytes=[1-9]\d*-$/);
      expect(headers['if-range']).toBe('"one"');
    }
    expect(notices[0]).toMatch(/^127\.0\.0\.1:\d+: the connection was cut; trying again in 1 s$/);
    await expectWhole();
  });

  it('goes on with what an earlier run has left', async () => {
    server.put('weights.pth', CONTENT);
    const kept = await interruptAt(400_000);
    const progress: number[] = [];
    await download({ onProgress: (done) => progress.push(done) });
    expect(progress[0]).toBe(kept);
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([`bytes=${kept}-`]);
    await expectWhole();
  });

  it('goes on by the date where there is no ETag', async () => {
    const lastModified = 'Thu, 29 Apr 2021 13:00:00 GMT';
    server.put('weights.pth', CONTENT, { etag: undefined, lastModified });
    await interruptAt(400_000);
    await download();
    expect(server.requests[0]!.headers['if-range']).toBe(lastModified);
    await expectWhole();
  });

  it('starts again where the server knows no ranges', async () => {
    server.put('weights.pth', CONTENT, { ranges: false });
    await interruptAt(400_000);
    await download();
    expect(server.requests).toHaveLength(1);
    await expectWhole();
  });

  it('starts again where nothing tells that the file is still the same', async () => {
    server.put('weights.pth', CONTENT, { etag: 'W/"weak"' });
    await interruptAt(400_000);
    await download();
    expect(server.requests[0]!.headers.range).toBeUndefined();
    await expectWhole();
  });

  it.each([true, false])(
    'starts again when the file has changed (server heeds If-Range: %s)',
    async (ifRange) => {
      server.put('weights.pth', CONTENT, { etag: '"one"' });
      await interruptAt(400_000);
      const changed = randomBytes(CONTENT.length);
      server.put('weights.pth', changed, { etag: '"two"', ifRange });
      const { etag } = await download();
      expect(etag).toBe('"two"');
      await expectWhole(changed);
    },
  );

  it('starts again when the file has become shorter than what is there', async () => {
    server.put('weights.pth', CONTENT, { etag: '"one"' });
    await interruptAt(400_000);
    const shorter = CONTENT.subarray(0, 1000);
    server.put('weights.pth', shorter, { etag: '"one"' });
    await download();
    await expectWhole(shorter);
  });

  it('starts again from another address', async () => {
    server.put('weights.pth', CONTENT);
    await interruptAt(400_000);
    server.put('mirror/weights.pth', CONTENT);
    await download({ url: `${server.url}mirror/weights.pth` });
    expect(server.requests[0]!.headers.range).toBeUndefined();
    await expectWhole();
  });

  it('is complete when the last run was killed just before it said so', async () => {
    server.put('weights.pth', CONTENT);
    await interruptAt(400_000);
    await writeFile(`${target}.part`, CONTENT);
    expect((await download()).bytes).toBe(CONTENT.length);
    await expectWhole();
  });

  it('starts again when the notes about what is there are damaged', async () => {
    server.put('weights.pth', CONTENT);
    await interruptAt(400_000);
    await writeFile(`${target}.part.json`, '{"url":');
    await download();
    await expectWhole();
  });

  it('gives up after some attempts that bring nothing, and says what is kept', async () => {
    server.put('weights.pth', CONTENT, { faults: [{ cutAfter: 300_000 }, ...repeat({ cutAfter: 0 }, 3)] });
    await expect(download({ attempts: 3 })).rejects.toThrow(
      /^http:\S+weights\.pth can't be downloaded: 127\.0\.0\.1:\d+: the connection was cut, 3 times in a row\. [\d.]+ kB are kept: the same command goes on from there\.$/,
    );
    expect(server.requests).toHaveLength(3);
    await download();
    await expectWhole();
  });

  it('tries again when the server is busy', async () => {
    server.put('weights.pth', CONTENT, {
      faults: [{ status: 503, headers: { 'retry-after': '0' } }, { status: 429 }, { status: 500 }],
    });
    const notices: string[] = [];
    await download({ onNotice: (text) => notices.push(text) });
    expect(notices).toEqual([
      expect.stringMatching(/ answers 503; trying again in 0 s$/),
      expect.stringMatching(/ answers 429; /),
      expect.stringMatching(/ answers 500; /),
    ]);
    await expectWhole();
  });

  it('takes a large file of a server that closes each connection behind its answer', async () => {
    const large = Buffer.alloc(32 * 2 ** 20, 'photo');
    server.put('weights.pth', large, { headers: { connection: 'close' } });
    await download();
    await expectWhole(large);
    expect(server.requests).toHaveLength(1);
  });

  it('tries again when nothing comes any more', async () => {
    const impatient = new HttpClient({ stallTimeoutMs: 50 });
    server.put('weights.pth', CONTENT, { faults: [{ stallAfter: 0 }] });
    const notices: string[] = [];
    await download({ client: impatient, onNotice: (text) => notices.push(text) });
    expect(notices).toEqual([expect.stringContaining('nothing came any more')]);
    impatient.close();
    await expectWhole();
  });

  it.each([
    [{ status: 404 }, /^There is no http:\S+weights\.pth \(404\)\. Check the name; .* --from\.$/],
    [{ status: 403 }, /^http:\S+ may not be read \(403\)\./],
    [{ status: 403, headers: { 'x-error-code': 'GatedRepo' } }, /accepted its licence .* HF_TOKEN to it\.$/],
    [
      { status: 401, headers: { 'x-error-code': 'RepoNotFound' } },
      /^There is no such repository, or it is private/,
    ],
    [{ status: 418 }, /the server answers 418\.$/],
  ])('does not ask again after %j', async (fault, message) => {
    server.put('weights.pth', CONTENT, { faults: [fault] });
    await expect(download()).rejects.toThrow(message);
    expect(server.requests).toHaveLength(1);
    expect(await readdir(folder)).toEqual([]);
  });

  it('says that nobody answers', async () => {
    const { url } = server;
    await server.stop();
    await expect(download({ url: `${url}weights.pth`, attempts: 2 })).rejects.toThrow(
      /can't be downloaded: 127\.0\.0\.1:\d+: the connection was refused, 2 times in a row\. .*HTTPS_PROXY.* --from\.$/,
    );
    server = await FileServer.start();
  });

  it('refuses what is sent compressed, since its length and ranges are not those of the file', async () => {
    server.put('weights.pth', CONTENT, { headers: { 'content-encoding': 'gzip' } });
    await expect(download()).rejects.toThrow(/is sent compressed \(gzip\)/);
    expect(server.requests[0]!.headers['accept-encoding']).toBe('identity');
  });

  it('keeps what it has when it is interrupted', async () => {
    server.put('weights.pth', CONTENT, { faults: [{ cutAfter: 300_000 }] });
    const controller = new AbortController();
    const stopped = new Error('stopped by the user');
    await expect(
      download({ signal: controller.signal, onNotice: () => controller.abort(stopped) }),
    ).rejects.toBe(stopped);
    expect(await readdir(folder)).toEqual(['weights.pth.part', 'weights.pth.part.json']);
    await download();
    await expectWhole();
  });

  it.skipIf(process.platform !== 'linux')('says that the disk is full', async () => {
    server.put('weights.pth', CONTENT);
    await symlink('/dev/full', `${target}.part`);
    await expect(download()).rejects.toThrow(
      /^There is no space left for \S+weights\.pth\.part\. Free some and run the same command again\.$/,
    );
  });
});

describe('redirects', () => {
  it('are followed, and what they said is known', async () => {
    server.put('cdn/weights.pth', CONTENT);
    server.redirects.set('weights.pth', { to: '/cdn/weights.pth', headers: { 'x-repo-commit': 'abc' } });
    const { response } = await download();
    expect(response.redirects.map((headers) => headers.get('x-repo-commit'))).toEqual(['abc']);
    await expectWhole();
  });

  it('are followed a number of times', async () => {
    server.redirects.set('weights.pth', { to: '/weights.pth' });
    await expect(download()).rejects.toThrow(/leads from one address to the next, more than 10 times\.$/);
  });

  it('are asked for their headers anew, so that a token stays with its host', async () => {
    const other = await FileServer.start();
    other.put('weights.pth', CONTENT);
    server.redirects.set('weights.pth', { to: `${other.url}weights.pth` });
    const { host } = new URL(server.url);
    const withToken = new HttpClient({
      headersFor: (url): Record<string, string> =>
        url.host === host ? { authorization: 'Bearer secret' } : {},
    });
    await download({ client: withToken });
    withToken.close();
    await other.stop();
    expect(server.requests[0]!.headers.authorization).toBe('Bearer secret');
    expect(other.requests[0]!.headers.authorization).toBeUndefined();
  });

  it.each([
    ['https://a.example/x', 'http://a.example/x'],
    ['https://a.example/x', 'file:///etc/passwd'],
    ['http://a.example/x', 'ftp://a.example/x'],
  ])('never lead from %s to %s', (from, to) => {
    expect(() => redirectTarget(new URL(from), to)).toThrow(
      /is not encrypted: not followed|which is no web address/,
    );
  });

  it('may lead to a path, another host or an encrypted address', () => {
    const from = new URL('http://a.example/dir/x');
    expect(redirectTarget(from, 'y').href).toBe('http://a.example/dir/y');
    expect(redirectTarget(from, 'https://b.example/').href).toBe('https://b.example/');
    expect(redirectTarget(new URL('https://a.example/'), '//b.example/').href).toBe('https://b.example/');
  });
});

function repeat<T>(value: T, times: number): T[] {
  return Array.from({ length: times }, () => value);
}
