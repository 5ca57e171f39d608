import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ConfigError, environmentName, loadConfig, SETTINGS, type SettingKey } from '#dino/config.js';

const keys = Object.keys(SETTINGS) as SettingKey[];

describe('loadConfig', () => {
  it('has a good default for everything', () => {
    const config = loadConfig({ PATH: '/bin' });
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 8080,
      dataDir: './data',
      apiKeys: [],
      providers: ['cpu'],
    });
  });

  it('prefers flags to the environment, the environment to the file, and the file to defaults', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'dino-config-'));
    const path = join(folder, 'dino.json');
    await writeFile(path, JSON.stringify({ port: 1, maxBatch: 2, logLevel: 'warn' }));
    const config = loadConfig({ DINO_CONFIG: path, DINO_PORT: '3', DINO_MAX_BATCH: '4' }, { port: '5' });
    expect([config.port, config.maxBatch, config.logLevel]).toEqual([5, 4, 'warn']);
    await writeFile(path, JSON.stringify({ prot: 1 }));
    expect(() => loadConfig({ DINO_CONFIG: path })).toThrow(/prot is not a setting/);
    await writeFile(path, '{');
    expect(() => loadConfig({ DINO_CONFIG: path })).toThrow(/can't be read as JSON/);
    await rm(folder, { recursive: true });
  });

  it('refuses a variable it does not know and a value out of range, by name', () => {
    expect(() => loadConfig({ DINO_PROT: '1' })).toThrow(ConfigError);
    expect(() => loadConfig({ DINO_PROT: '1' })).toThrow(/DINO_PROT is not a setting.*DINO_PORT/);
    expect(() => loadConfig({ DINO_PORT: '70000' })).toThrow(/DINO_PORT is "70000", but it takes 0\.\.65535/);
    expect(() => loadConfig({ DINO_PORT: 'http' })).toThrow(/DINO_PORT/);
    expect(() => loadConfig({ DINO_PROVIDERS: 'gpu' })).toThrow(/DINO_PROVIDERS/);
  });

  it('refuses settings that contradict each other', () => {
    expect(() => loadConfig({ DINO_MAX_BATCH: '64', DINO_QUEUE_LIMIT: '32' })).toThrow(
      /DINO_MAX_BATCH.*DINO_QUEUE_LIMIT/,
    );
    expect(() => loadConfig({ DINO_MAX_BODY_BYTES: '2048' })).toThrow(/DINO_MAX_IMAGE_BYTES/);
  });

  it('splits lists at commas', () => {
    expect(loadConfig({ DINO_API_KEYS: 'a, b,' }).apiKeys).toEqual(['a', 'b']);
  });

  it('is documented in the README, setting by setting with its default', async () => {
    const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
    for (const key of keys) {
      const row = readme.split('\n').find((line) => line.startsWith(`| \`${environmentName(key)}\``));
      expect(row, `${environmentName(key)} is missing from README's table`).toBeDefined();
      expect(row).toContain(SETTINGS[key].meaning);
      expect(row).toContain(SETTINGS[key].range);
    }
  });
});
