import { spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GoalKey } from '../../bench/goals.js';
import { readReports } from '../../bench/report.js';
import { finishDino, type DinoResult } from '../../cli/dino-process.js';
import { writeLabelledPhotos, writeMaskedPhoto } from './bench-photos.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

let folder: string;
let photos: string;
let masked: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dino-bench-test-'));
  photos = await writeLabelledPhotos(folder);
  masked = await writeMaskedPhoto(folder);
  await mkdir(join(folder, 'tmp'));
});
afterAll(() => rm(folder, { recursive: true }));

/** The command as `npm run bench` has it, once it is built. */
function runBench(args: readonly string[]): Promise<DinoResult> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'test/bench/main.ts', ...args], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: join(folder, 'tmp') },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return finishDino(child);
}

interface Case {
  /** `PHOTOS` and `MASKED` stand for the tars, `OUT` for a file to be written. */
  readonly options: string;
  /** How the titles of its tables begin. */
  readonly tables: readonly string[];
  readonly goals?: readonly GoalKey[];
}

const CASES: Record<string, Case> = {
  embed: {
    options: '--photos PHOTOS --limit 2 --seconds 0.2 --rounds 1 --connections 4',
    tables: ['throughput with', 'processor time of an image', 'under this load'],
  },
  search: {
    options: '--photos PHOTOS --asked PHOTOS --size 300 --limit 2 --seconds 0.2 --rounds 1',
    tables: ['recall under filters', 'search by stored id'],
    goals: ['searchOverBare', 'searchRate'],
  },
  latency: {
    options:
      '--photos PHOTOS --limit 2 --seconds 0.2 --starts 1 --connections 4 --large models/dino-vitmicro16-photos',
    tables: [
      'start to ready',
      'the model, full load',
      'the model, half of it',
      'the larger model, full load',
      'the larger model, half of it',
    ],
    goals: ['latencySpread', 'latencySpreadBundled', 'eventLoopMs', 'startSeconds'],
  },
  soak: {
    options: '--photos PHOTOS --limit 2 --minutes 0.05 --connections 5',
    tables: ['requests', 'memory, MB', 'event loop'],
  },
  flame: {
    options: '--photos PHOTOS --limit 2 --seconds 0.2 --connections 4 --out OUT',
    tables: ['the main thread', 'where it is busy'],
  },
  index: {
    options: '--photos PHOTOS --asked PHOTOS --limit 2 --sizes 150 --dimension 32 --peer 0',
    tables: ['collections, 32 elements'],
  },
  masks: {
    options: '--photos MASKED --size 64,96 --threshold 0.5 --heads yes',
    tables: ['masks, %: 1 photo', 'ms a photo', 'masks, %: 1 photo', 'ms a photo', 'published'],
  },
  regions: {
    options: '--stored PHOTOS --asked PHOTOS --limit 2 --size 64',
    tables: ['half as wide', 'beside another photo', 'the photo itself'],
  },
  stalls: {
    options: '--photos PHOTOS --only numbers --requests 2 --seconds 1 --scale 0.5',
    tables: ['how long the event loop stood still'],
  },
  writes: { options: '--writers 1,4 --seconds 0.05 --rounds 1', tables: ['writes'] },
  contents: { options: '--images 6 --bytes 10000', tables: ['originals of 10000 bytes', 'the database'] },
  snapshots: {
    options: '--images 20 --bytes 1000 --seconds 0.1',
    tables: ['a snapshot of 20 images', 'reads'],
  },
  originals: {
    options: '--sizes 1000,2000 --writers 8 --rounds 1 --megabytes 0',
    tables: ['originals of 1000 bytes', 'originals of 2000 bytes'],
  },
  preprocess: {
    options: '--photos PHOTOS --limit 1 --rounds 1 --widths 0,320 --resize 64 --crop 64',
    tables: ['photos as they are', '320 px wide'],
  },
};

const hasDjpeg = spawnSync('djpeg', ['-version']).error === undefined;
// Processor time is read from /proc.
const NEEDS_LINUX = ['embed', 'search', 'soak'];
const canRun = (verb: string): boolean =>
  (verb !== 'preprocess' || hasDjpeg) && (!NEEDS_LINUX.includes(verb) || process.platform === 'linux');

describe('npm run bench', () => {
  it('tells its verbs, each of which is tested here; what compare installs takes too long', async () => {
    const { code, stdout } = await runBench(['--help']);
    const verbs = [...stdout.matchAll(/^ {2}(\w+) {2}/gm)].map(([, verb]) => verb);
    expect(verbs.sort()).toEqual([...Object.keys(CASES), 'compare'].sort());
    expect(code).toBe(0);
  });

  it.each([
    [['fast'], 'there is no verb fast\nusage: npm run bench -- VERB'],
    [['toString'], 'there is no verb toString'],
    [['writes', '--second', '3'], "writes: Unknown option '--second'"],
    [['masks', '--photos', '/nowhere.tar'], 'masks: there are no photos at /nowhere.tar'],
  ])('%j ends with 2 and says why', async (args, message) => {
    const { code, stdout, stderr } = await runBench(args);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('\n    at ');
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });

  for (const [verb, { options, tables, goals = [] }] of Object.entries(CASES)) {
    it.runIf(canRun(verb))(`${verb} measures, reports and cleans up`, async () => {
      const paths: Record<string, string> = { PHOTOS: photos, MASKED: masked, OUT: join(folder, 'out.svg') };
      const given = options.split(' ').map((word) => paths[word] ?? word);
      const json = join(folder, `${verb}.json`);
      const { code, stdout, stderr } = await runBench([verb, ...given, '--json', json]);
      expect(stderr).toBe('');
      expect(code).toBe(0);

      const report = (await readReports(json))[verb]!;
      const titles = Object.keys(report.tables);
      expect(titles).toHaveLength(tables.length);
      tables.forEach((beginning, i) => expect(titles[i]!.startsWith(beginning), titles[i]).toBe(true));
      for (const title of titles) expect(stdout).toContain(title);
      for (const [title, rows] of Object.entries(report.tables)) {
        expect(Object.keys(rows), title).not.toEqual([]);
        for (const [name, row] of Object.entries(rows)) {
          for (const [column, value] of Object.entries(row)) {
            // A moment on a busy machine may take no time that the system counts.
            expect(value, `${title}: ${name}: ${column}`).toSatisfy(Number.isFinite);
          }
        }
      }
      expect(Object.keys(report.goals).sort()).toEqual([...goals].sort());
      for (const value of Object.values(report.goals)) expect(value).toBeGreaterThan(0);
      // What is kept on purpose is for the next run.
      const left = (await readdir(join(folder, 'tmp'))).filter((name) => name.startsWith('dino-'));
      expect(left.filter((name) => name !== 'dino-bench-embeddings')).toEqual([]);
      if (verb === 'flame') expect(await readFile(paths.OUT!, 'utf8')).toMatch(/^<svg [^]*<\/svg>\n$/);
    });
  }
});
