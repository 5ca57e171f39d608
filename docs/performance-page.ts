/** Writes what docs/performance.json holds into docs/performance.md anew. Run by `npm run docs`. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { fillPage } from '../test/bench/performance-page.js';
import { readReports } from '../test/bench/report.js';

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const page = here('performance.md');
const filled = fillPage(await readFile(page, 'utf8'), await readReports(here('performance.json')));
await writeFile(page, await format(filled, { ...(await resolveConfig(page)), parser: 'markdown' }));
