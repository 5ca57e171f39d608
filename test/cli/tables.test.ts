import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parquetReadObjects, asyncBufferFromFile } from 'hyparquet';
import { parquetWriteFile } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createClient, type DinoClient } from '#dino/client/dino-client.js';
import { readNpyHeader, readNpyRows } from '#dino/cli/vectors/npy.js';
import type { DrawnScene } from '../support/drawn-scenes.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';
import { runDino, runDinoJson, type DinoOptions } from './dino-process.js';
import { drawSmallScenes, makeFolder, writeInto, writeScenes } from './photo-folder.js';

describe('dino import of tables, and dino export', () => {
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
    scenes = await drawSmallScenes(2);
    ids = await writeScenes(join(root, 'photos'), scenes);
    await runDinoJson(['import', 'photos', '-c', 'photos', '--no-measure'], options);
  });
  afterAll(async () => {
    await server.stop();
    await rm(root, { recursive: true, force: true });
  });

  const importJson = (...args: string[]) => runDinoJson(['import', ...args, '--no-measure'], options);

  it('reads a CSV of images: paths beside it, numbers and booleans typed, texts where they are asked for', async () => {
    const rows = [
      'path,id,year,code,part,seen,tags,note',
      `photos/${ids[0]},first,2020,007,12,true,"[""a"",""b""]",`,
      `photos/${ids[1]},second,1999.5,1e3,13,false,[1;2],"a, ""quoted"" text"`,
      'photos/nowhere.jpg,third,1,1,1,true,,',
    ];
    await writeFile(join(root, 'photos.csv'), `\uFEFF${rows.join('\r\n')}\r\n`);
    const { code, stdout } = await runDino(
      ['import', 'photos.csv', '-c', 'csv', '--text-columns', 'part', '--no-measure', '--json'],
      options,
    );
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      stored: 2,
      failed: 1,
      failures: [{ reason: 'photos/nowhere.jpg: there is no such file or folder' }],
    });
    expect((await client.getImage('csv', 'first')).metadata).toEqual({
      year: 2020,
      code: '007',
      part: '12',
      seen: true,
      tags: ['a', 'b'],
    });
    expect((await client.getImage('csv', 'second')).metadata).toEqual({
      year: 1999.5,
      code: '1e3',
      part: '13',
      seen: false,
      tags: '[1;2]',
      note: 'a, "quoted" text',
    });
    expect(await importJson('photos.csv', '-c', 'csv').catch((error: Error) => error.message)).toMatch(
      /ended with 1/,
    );
  });

  it('reads NDJSON of images and of vectors, and names the line that is none', async () => {
    const { vectors } = await client.embed(scenes.slice(0, 3).map(({ bytes }) => bytes));
    const base64 = Buffer.from(vectors[1]!.buffer).toString('base64');
    const lines = [
      { file: `photos/${ids[0]}`, metadata: { kind: 'image' }, ignored: 1 },
      { id: 'numbers', vector: [...vectors[0]!], kind: 'vector' },
      { id: 'base64', embedding: base64, kind: 'vector' },
      { id: 'short', vector: [1, 2, 3] },
      { vector: [...vectors[0]!] },
    ];
    await writeFile(
      join(root, 'mixed.ndjson'),
      lines.map((line) => `${JSON.stringify(line)}\n`).join('') + 'oops\n',
    );
    const { code, stdout } = await runDino(
      ['import', 'mixed.ndjson', '-c', 'mixed', '--no-measure', '--json'],
      options,
    );
    const summary = JSON.parse(stdout);
    expect({ code, ...summary }).toMatchObject({ code: 1, stored: 3, failed: 3 });
    expect(summary.failures.map(({ reason }: { reason: string }) => reason).join('\n')).toMatch(
      /3 elements(?:.|\n)*vector and no id(?:.|\n)*mixed\.ndjson:6 is no JSON object|vector and no id/,
    );
    expect((await client.getImage('mixed', `photos/${ids[0]}`)).metadata).toEqual({ kind: 'image' });
    const { results } = await client.search('mixed', { vector: vectors[1]! }, { k: 1 });
    expect(results[0]).toMatchObject({ id: 'base64', metadata: { kind: 'vector' } });
    expect(results[0]!.score).toBeCloseTo(1, 5);
    await expect(client.getContent('mixed', 'base64')).rejects.toMatchObject({ code: 'not-found' });
  });

  it.each(['.parquet', '.ndjson', '.npy'])(
    'exports a collection as %s and imports it again, vectors bit by bit',
    async (kind) => {
      const out = join(root, `all${kind}`);
      const report = await runDinoJson(['export', '-c', 'photos', '-o', out], options);
      expect(report).toMatchObject({ collection: 'photos', images: ids.length });
      expect(report.files[0]).toBe(out);
      const name = `again-${kind.slice(1)}`;
      expect(await importJson(out, '-c', name)).toMatchObject({ stored: ids.length, failed: 0 });
      expect(await importJson(out, '-c', name)).toMatchObject({ stored: 0, unchanged: ids.length });
      for (const id of ids) {
        const image = await client.getImage(name, id);
        expect(image.metadata).toEqual((await client.getImage('photos', id)).metadata);
        const [was, is] = await Promise.all(
          ['photos', name].map((collection) => client.search(collection, { id }, { k: 5 })),
        );
        expect(is!.results).toEqual(was!.results);
      }
    },
  );

  it('exports what a filter says, with ids and numbers that others read', async () => {
    const className = scenes[0]!.className;
    const filter = JSON.stringify({ field: 'class', eq: className });
    const parquet = join(root, 'some.parquet');
    await runDinoJson(['export', '-c', 'photos', '-o', parquet, '--filter', filter], options);
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(parquet) });
    const expected = ids.filter((id) => id.startsWith(`${className}/`)).sort();
    expect(rows.map(({ id }) => id)).toEqual(expected);

    await runDinoJson(['export', '-c', 'photos', '-o', join(root, 'some.npy'), '--filter', filter], options);
    const matrix: number[][] = [];
    const header = await readNpyHeader(join(root, 'some.npy'));
    for await (const row of readNpyRows(join(root, 'some.npy'), header)) matrix.push([...row]);
    expect(matrix).toEqual(rows.map(({ vector }) => vector));
    const lines = (await readFile(join(root, 'some.ndjson'), 'utf8')).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).id)).toEqual(expected);
  });

  it('reads the Parquet files of image data sets: bytes in a struct, times and large integers', async () => {
    const path = join(root, 'dataset.parquet');
    parquetWriteFile({
      filename: path,
      columnData: [
        { name: 'id', data: ['a', 'b'], type: 'STRING' },
        {
          name: 'image',
          data: scenes.slice(0, 2).map(({ bytes }) => new Uint8Array(bytes)),
          type: 'BYTE_ARRAY',
        },
        { name: 'count', data: [1n, 2n ** 60n], type: 'INT64' },
        { name: 'taken', data: [new Date(0), new Date(86_400_000)], type: 'TIMESTAMP' },
      ],
    });
    expect(await importJson(path, '-c', 'dataset')).toMatchObject({ stored: 2, failed: 0 });
    expect((await client.getImage('dataset', 'a')).metadata).toEqual({
      count: 1,
      taken: '1970-01-01T00:00:00.000Z',
    });
    expect((await client.getImage('dataset', 'b')).metadata).toMatchObject({ count: String(2n ** 60n) });
  });

  it('takes patterns, quoted so that no shell reads them', async () => {
    const pattern = `photos/{${scenes[0]!.className},nothing}/*.jpg`;
    const { stored } = await importJson(pattern, '-c', 'pattern');
    expect(stored).toBe(ids.filter((id) => id.startsWith(`${scenes[0]!.className}/`)).length);
    const nothing = await runDino(['import', 'photos/*.webp', '-c', 'pattern'], options);
    expect(nothing).toMatchObject({ code: 2, stderr: expect.stringMatching(/nothing matches this pattern/) });
  });

  it.each([
    ['a matrix without ids beside it', 'lonely.npy', 'lonely.ndjson beside it'],
    ['a file that is no Parquet', 'wrong.parquet', "can't be read"],
  ])('says what is wrong with %s', async (_, name, message) => {
    await writeInto(
      root,
      name,
      name.endsWith('.npy') ? await readFile(join(root, 'all.npy')) : 'not a table',
    );
    const { code, stderr, stdout } = await runDino(['import', name, '-c', 'broken', '--no-measure'], options);
    expect(code).toBe(1);
    expect(stdout + stderr).toContain(message);
  });

  it('leaves nothing behind where an export fails, and says what it can write', async () => {
    const unknown = await runDino(['export', '-c', 'photos', '-o', join(root, 'out.xlsx')], options);
    expect(unknown).toMatchObject({ code: 2, stderr: expect.stringMatching(/\.parquet, \.ndjson/) });
    const missing = await runDino(['export', '-c', 'nowhere', '-o', join(root, 'none.parquet')], options);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringMatching(/no collection "nowhere"/) });
    await expect(stat(join(root, 'none.parquet'))).rejects.toThrow();
    await expect(stat(join(root, 'none.parquet.part'))).rejects.toThrow();
  });
});
