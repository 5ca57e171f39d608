/** Writes the table of settings in README.md anew from the one in src/config.ts. Run by `npm run docs`. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { environmentName, SETTINGS } from '#dino/config.js';

const readmePath = fileURLToPath(new URL('../README.md', import.meta.url));

function showDefault(key: string, fallback: unknown): string {
  if (key === 'modelsDir') return '`models` of the installation';
  if (Array.isArray(fallback)) return fallback.length === 0 ? 'none' : `\`${fallback.join(',')}\``;
  return `\`${String(fallback)}\``;
}

const rows = Object.entries(SETTINGS).map(
  ([key, { meaning, range, fallback }]) =>
    `| \`${environmentName(key)}\` | ${meaning} | ${range} | ${showDefault(key, fallback)} |`,
);
const table = ['| variable | meaning | range | default |', '| --- | --- | --- | --- |', ...rows].join('\n');

const readme = await readFile(readmePath, 'utf8');
const filled = readme.replace(
  /<!-- settings -->.*<!-- \/settings -->/s,
  `<!-- settings -->\n\n${table}\n\n<!-- /settings -->`,
);
if (!filled.includes(table)) throw new Error('README.md has no place marked for the table');
await writeFile(
  readmePath,
  await format(filled, { ...(await resolveConfig(readmePath)), parser: 'markdown' }),
);
