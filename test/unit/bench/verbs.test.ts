import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { run as search } from '../../bench/search.js';
import type { Report } from '../../bench/report.js';

const MEADOW = new URL('../../golden/meadow.jpg', import.meta.url);

let folder: string;
let photos: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dino-bench-test-'));
  photos = join(folder, 'photos.tar');
  const tar = pack();
  for (const name of ['a/1.jpg', 'b/2.jpg']) tar.entry({ name }, await readFile(MEADOW));
  tar.finalize();
  await pipeline(tar, createWriteStream(photos));
  // What verbs keep for the next run.
  vi.stubEnv('TMPDIR', folder);
  vi.spyOn(console, 'log').mockImplementation(() => undefined);
  vi.spyOn(console, 'table').mockImplementation(() => undefined);
});

afterAll(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

it('the search verb measures the service beside what it is made of, and writes its report', async () => {
  const json = join(folder, 'report.json');
  const sizes = ['--size', '300', '--limit', '2', '--seconds', '0.2', '--rounds', '1'];
  await search([...sizes, '--photos', photos, '--asked', photos, '--json', json]);
  const { tables, goals } = (JSON.parse(await readFile(json, 'utf8')) as { search: Report }).search;
  const [recall, byId] = Object.values(tables) as [Report['tables'][string], Report['tables'][string]];
  expect(recall['100 %']).toMatchObject({ 'recall@10': 1 });
  for (const name of [
    'bare call of the graph',
    'over HTTP',
    "Node's http alone, the same answer",
    'Express alone, the same answer',
    'Express alone, served as the service does',
    'a call of a thread and back, nothing done',
    "the least: Node's http, the thread and the bare call",
  ]) {
    expect(byId[name]!['p50, ms']).toBeGreaterThan(0);
  }
  expect(goals.searchOverBare).toBeGreaterThan(1);
  expect(goals.searchRate).toBeGreaterThan(0);
});
