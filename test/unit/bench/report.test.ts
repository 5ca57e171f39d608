import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { judge } from '../../bench/goals.js';
import { instructionsOf, readReports, Reporter } from '../../bench/report.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dino-reports-'));
  vi.spyOn(console, 'log').mockReturnValue(undefined);
  vi.spyOn(console, 'table').mockReturnValue(undefined);
});
afterAll(async () => {
  vi.restoreAllMocks();
  await rm(root, { recursive: true });
});

describe('a report', () => {
  it('has the machine, the settings, the tables and the goals, beside the reports of other verbs', async () => {
    const file = join(root, 'reports.json');
    const first = new Reporter('latency', { seconds: 2, json: file });
    first.table('start', { seconds: { median: 1.23456 } });
    first.goal('startSeconds', 1.23456);
    await first.finish(file);
    await new Reporter('soak', {}).finish(file);
    const { latency, soak } = await readReports(file);
    expect(latency).toMatchObject({
      settings: { seconds: 2 },
      tables: { start: { seconds: { median: 1.235 } } },
      goals: { startSeconds: 1.23456 },
    });
    expect(latency!.settings).not.toHaveProperty('json');
    expect(latency!.machine.cores).toBeGreaterThan(0);
    expect(latency!.machine.onnxruntime).toMatch(/^\d+\.\d+/);
    expect(latency!.measuredAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/);
    expect(soak!.goals).toEqual({});
  });

  it('is not written over a file that holds something else', async () => {
    const file = join(root, 'other.json');
    await writeFile(file, '{"name": "photos"}');
    await expect(new Reporter('soak', {}).finish(file)).rejects.toThrow(`${file} holds no reports`);
    expect(await readFile(file, 'utf8')).toBe('{"name": "photos"}');
  });

  it('names the instructions that decide about speed', () => {
    expect(instructionsOf('vendor_id : x\nflags\t\t: fpu sse2 avx2 fma avx512_vnni\n')).toEqual([
      'avx2',
      'fma',
      'avx512_vnni',
    ]);
    expect(instructionsOf('Features : fp asimd i8mm')).toEqual(['asimd', 'i8mm']);
    expect(instructionsOf('')).toEqual([]);
  });
});

describe('the goals', () => {
  it('are met on their good side, and those that were not measured are left out', () => {
    const rows = judge({ overRuntime: 0.925, eventLoopMs: 20.01, startSeconds: 2 });
    expect(rows.map(({ value, wanted, met }) => [value, wanted, met])).toEqual([
      ['0.9250', 'at least 0.92', 'yes'],
      ['20.01 ms', 'at most 20 ms', 'no'],
      ['2.00 s', 'at most 2 s', 'yes'],
    ]);
  });

  it('are not met by rounding', () => {
    expect(judge({ int8Cosine: 0.99896 })[0]).toMatchObject({ value: '0.99896', met: 'no' });
  });
});
