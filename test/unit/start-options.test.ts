import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { startOptions } from '../support/server-process.js';

const read = (path: string) => readFile(new URL(`../../${path}`, import.meta.url), 'utf8');

describe('the options that Node is started with', () => {
  it('are the same for npm start, for the image and for the commands', async () => {
    const options = startOptions();
    expect(options).toEqual([expect.stringMatching(/^--initial-heap-size=\d+$/)]);
    const command = JSON.stringify(['node', ...options, 'dist/main.js']).replaceAll(',', ', ');
    expect(await read('Dockerfile')).toContain(`\nCMD ${command}\n`);
    for (const path of ['dist/main.js', 'dist/cli/dino.js'])
      expect((await read(path)).split('\n')[0]).toBe(`#!/usr/bin/env -S node ${options.join(' ')}`);
  });
});
