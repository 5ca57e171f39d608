import { once } from 'node:events';
import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, it } from 'vitest';
import { runDino, spawnDino } from './dino-process.js';
import { makeFolder } from './photo-folder.js';

it('dino serve takes its settings as flags, serves the other commands, and ends with 0 at SIGTERM', async () => {
  const dataDir = await makeFolder();
  const child = spawnDino([
    'serve',
    '--port',
    '0',
    '--data-dir',
    dataDir,
    '--log-level',
    'warn',
    '--max-requests',
    '7',
  ]);
  const exited = once(child, 'exit');
  let url: string | undefined;
  for await (const line of createInterface(child.stdout!)) {
    url = /^ready (\S+)$/.exec(line)?.[1];
    if (url !== undefined) break;
  }
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect((await runDino(['models', 'list', '--data-dir', dataDir])).code).toBe(0);
  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  await expect(access(join(dataDir, 'server.json'))).rejects.toThrow('ENOENT');
  await rm(dataDir, { recursive: true });
});
