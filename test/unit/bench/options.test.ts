import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { UsageError } from '../../bench/read-options.js';
import { writeTar } from '../../cli/photo-folder.js';
import { writeLabelledPhotos, writeMaskedPhoto } from './bench-photos.js';

const VERBS = [
  'compare',
  'contents',
  'embed',
  'flame',
  'index',
  'latency',
  'masks',
  'originals',
  'preprocess',
  'regions',
  'search',
  'snapshots',
  'soak',
  'stalls',
  'writes',
];

let folder: string;
const log = vi.spyOn(console, 'log').mockReturnValue(undefined);
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dino-bench-options-'));
  await writeLabelledPhotos(folder);
  await writeMaskedPhoto(folder);
  await writeTar(join(folder, 'empty.tar'), [['notes.txt', 'nothing here']]);
  await writeTar(join(folder, 'unlabelled.tar'), [['BACKGROUND_Google/1.jpg', 'x']]);
  await writeFile(join(folder, 'no.tar'), 'x'.repeat(2048));
});
afterAll(async () => {
  log.mockRestore();
  await rm(folder, { recursive: true });
});

async function run(verb: string, line: string): Promise<void> {
  const args = line.split(' ').map((word) => word.replace(/(\w+\.tar)/, `${folder}/$1`));
  const module = (await import(`../../bench/${verb}.ts`)) as { run(args: string[]): Promise<void> };
  await module.run(args);
}

describe.each(VERBS)('%s', (verb) => {
  it('tells its options', async () => {
    log.mockClear();
    await run(verb, '--help');
    const text = log.mock.calls[0]![0] as string;
    expect(text).toContain(`Usage: npm run bench -- ${verb} [options]`);
    expect(text).toContain('--json FILE');
  });

  it('refuses what it does not know', async () => {
    await expect(run(verb, '--nonsense 1')).rejects.toThrow("Unknown option '--nonsense'");
    await expect(run(verb, 'nonsense')).rejects.toThrow(UsageError);
  });
});

describe('a verb', () => {
  it.each([
    ['embed', '--model nowhere --photos photos.tar', 'there is no model at nowhere'],
    ['embed', '--photos empty.tar', 'there is no .jpg in'],
    ['embed', '--seconds 0', '--seconds is 0, but it takes 0.2 to 3600'],
    ['latency', '--photos nowhere.tar', 'there are no photos at'],
    ['latency', '--starts none', '--starts is none, but it takes 1 to 100'],
    ['flame', '--photos no.tar', 'there are no photos at'],
    ['soak', '--minutes 0', '--minutes is 0, but it takes'],
    ['compare', '--photos photos.tar --python nowhere', 'there is no Python at nowhere'],
    ['compare', '--model nowhere', 'there is no model at nowhere'],
    ['search', '--recall maybe', '--recall is maybe, but it takes yes, no'],
    ['search', '--photos nowhere.tar', 'there are no photos at'],
    ['index', '--sizes 100,many', '--sizes is many, but it takes 1 to'],
    ['index', '--asked nowhere.tar --photos photos.tar', 'there are no photos at'],
    ['masks', '--photos photos.tar', 'has no mask in'],
    ['masks', '--photos empty.tar', 'there is no .jpg in'],
    ['masks', '--photos masked.tar --model nowhere', 'there is no model at nowhere'],
    ['masks', '--threshold 2', '--threshold is 2, but it takes 0 to 1'],
    ['masks', '--heads', "Option '--heads <value>' argument missing"],
    ['regions', '--stored masked.tar --asked photos.tar', 'there is no photo of BACKGROUND_Google in'],
    ['regions', '--stored photos.tar --asked unlabelled.tar', 'there is no labelled photo in'],
    [
      'stalls',
      '--photos photos.tar --only dancing',
      '--only is dancing, but the kinds are attention, numbers',
    ],
    ['stalls', '--scale 0', '--scale is 0, but it takes 0.1 to 20'],
    ['writes', '--writers 1,0', '--writers is 0, but it takes 1 to 1000'],
    ['originals', '--sizes ,', '--sizes is , but it takes 1 to'],
    ['contents', '--images 1', '--images is 1, but it takes 2 to'],
    ['snapshots', '--bytes 0', '--bytes is 0, but it takes 1 to'],
    ['preprocess', '--resize 64 --crop 65', '--crop is larger than --resize'],
  ])('%s %s is refused: %s', async (verb, line, message) => {
    await expect(run(verb, line)).rejects.toThrow(message);
    await expect(run(verb, line)).rejects.toThrow(UsageError);
  });
});
