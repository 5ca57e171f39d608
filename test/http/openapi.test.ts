import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error a plain script without types
import { finish } from '../../openapi/finish.js';
import { documentedOperations } from '../support/openapi-check.js';

const run = promisify(execFile);
const root = new URL('../../', import.meta.url).pathname;

describe('openapi.json', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dino-openapi-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is what the controllers say: `npm run openapi` would change nothing', async () => {
    const config = JSON.parse(await readFile(join(root, 'tsoa.json'), 'utf8'));
    config.spec.outputDirectory = folder;
    const path = join(folder, 'tsoa.json');
    await writeFile(path, JSON.stringify(config));
    await run(
      process.execPath,
      [join(root, 'node_modules/tsoa/dist/cli.js'), 'spec', '--configuration', path],
      { cwd: root },
    );
    const fresh = JSON.parse(await readFile(join(folder, 'openapi.json'), 'utf8'));
    const committed = JSON.parse(await readFile(join(root, 'openapi/openapi.json'), 'utf8'));
    expect(committed).toEqual(finish(fresh));
  });

  it("is what the client's types were made from", async () => {
    const path = join(folder, 'schema.ts');
    await run(
      process.execPath,
      [join(root, 'node_modules/openapi-typescript/bin/cli.js'), 'openapi/openapi.json', '--output', path],
      { cwd: root },
    );
    expect(await readFile(join(root, 'src/client/schema.ts'), 'utf8')).toBe(await readFile(path, 'utf8'));
  });

  it('names every operation and documents the problems each can have', () => {
    const operations = documentedOperations();
    expect(operations.length).toBeGreaterThan(20);
    for (const { path, statuses } of operations) {
      if (path.startsWith('/v1/')) expect([path, statuses.includes(401)]).toEqual([path, true]);
    }
  });
});
