import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { openExtractor } from '../bench/extractor.js';
import { BUNDLED } from '../bench/bench-server.js';

let home: string;
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

it("a model's process leaves no id of the device and no usage data behind that its runtime would send", async () => {
  home = await mkdtemp(join(tmpdir(), 'dino-home-'));
  for (const name of ['HOME', 'TMPDIR', 'XDG_CACHE_HOME']) vi.stubEnv(name, home);
  // Or the runtime keeps quiet by itself.
  for (const name of ['CI', 'ORT_RUNNING_UNIT_TESTS']) vi.stubEnv(name, undefined);
  const extractor = await openExtractor(BUNDLED);
  const { crop } = extractor.manifest.preprocessing;
  const pixels = { width: crop, height: crop, data: new Uint8Array(crop * crop * 3) };
  const { embedding } = await extractor.extract(pixels, ['embedding']);
  expect(embedding).toHaveLength(extractor.manifest.architecture.embedDim);
  await extractor.close();
  expect(await readdir(home, { recursive: true })).toEqual([]);
});
