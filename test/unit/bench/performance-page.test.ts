import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { fillPage } from '../../bench/performance-page.js';
import { readReports, type Report } from '../../bench/report.js';

const MACHINE = {
  processor: 'Some Processor',
  cores: 4,
  instructions: ['avx2'],
  memoryGiB: 16,
  node: '20.9.0',
  onnxruntime: '1.30.0',
  loadAtStart: 0.1,
};

const report = (more: Partial<Report>): Report => ({
  measuredAt: '2026-01-02T03:04Z',
  machine: MACHINE,
  settings: { seconds: 2, peers: '' },
  tables: {},
  goals: {},
  ...more,
});

describe('the page of what was measured', () => {
  it('has the goals and the tables of every verb between its marks', () => {
    const filled = fillPage('before <!-- measured -->stale<!-- /measured --> after', {
      latency: report({
        goals: { startSeconds: 1.5 },
        tables: { 'half load': { evenly: { p50: 3, p99: 4 }, 'at random': { p50: 5 } } },
      }),
      soak: report({ machine: { ...MACHINE, loadAtStart: 3 } }),
    });
    expect(filled).toMatch(/^before <!-- measured -->\n\n\| what /);
    expect(filled).toMatch(/<!-- \/measured --> after$/);
    expect(filled).not.toContain('stale');
    expect(filled).toContain(
      '| start to ready, bundled model, empty data folder | 1.50 s | at most 2 s | yes | `latency` |',
    );
    expect(filled).toContain(
      'Half load:\n\n|  | p50 | p99 |\n| --- | --- | --- |\n| evenly | 3 | 4 |\n| at random | 5 |  |',
    );
    expect(filled).toContain('`npm run bench -- latency --seconds 2`');
    const [quiet, busy] = filled.split('### `soak`');
    expect(quiet).not.toContain('Other work ran');
    expect(busy).toContain('Other work ran');
  });

  it('needs its marks', () => {
    expect(() => fillPage('a page', {})).toThrow('no place marked');
  });

  it('is docs/performance.md as `npm run docs` writes it from docs/performance.json', async () => {
    const path = (name: string) => fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url));
    const page = await readFile(path('performance.md'), 'utf8');
    const filled = fillPage(page, await readReports(path('performance.json')));
    const config = await resolveConfig(path('performance.md'));
    expect(await format(filled, { ...config, parser: 'markdown' })).toBe(page);
  });
});
