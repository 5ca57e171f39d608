import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { vitShapes, writeBlankCheckpoint } from '../support/blank-checkpoint.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';
import { runDino } from './dino-process.js';
import { drawSmallScenes, makeFolder, writeInto, writeScenes, writeTar } from './photo-folder.js';

const page = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```sh\n([^]*?)```/g)]
  .flatMap(([, block]) => block!.trim().split('\n'))
  // One runs until it is stopped, another needs the network, one a model whose vectors have a direction, and those of training need PyTorch: the tests of
  // scripts/ run them.
  .filter((line) => !/^npx dino (serve|train|evaluate|collections reembed) /.test(line))
  .filter((line) => line !== 'npx dino models pull dino-vits16');

const hasFfmpeg = spawnSync('ffmpeg', ['-version']).error === undefined;
const isOfVideo = (line: string) => line.includes('.mp4');
const canRun = (line: string) => hasFfmpeg || !isOfVideo(line);

let root: string;
let server: ServerProcess;
beforeAll(async () => {
  root = await makeFolder();
  const scenes = await drawSmallScenes(1);
  const ids = await writeScenes(join(root, 'photos'), scenes);
  await writeInto(root, 'cat.jpg', scenes[0]!.bytes);
  await writeInto(root, 'dog.jpg', scenes[1]!.bytes);
  for (const [index, name] of ['shard-0.tar', 'shard-1.tar'].entries()) {
    await writeTar(join(root, name), [[`${index}.jpg`, scenes[index]!.bytes]]);
  }
  const [first, second] = ids;
  await writeInto(
    root,
    'photos.csv',
    `path,code,year\nphotos/${first},007,2020\nphotos/${second},008,2021\n`,
  );
  await writeInto(
    root,
    'photos.ndjson',
    `${JSON.stringify({ path: `photos/${first}`, metadata: { year: 2022 } })}\n`,
  );
  // Networks of zeros, of the published names and shapes.
  await mkdir(join(root, 'mirror'));
  const published = join(root, 'mirror/dino_deitsmall16_pretrain.pth');
  await writeBlankCheckpoint(published, vitShapes({ width: 384, depth: 12, patch: 16 }));
  await writeBlankCheckpoint(join(root, 'checkpoint.pth'), vitShapes({ width: 192, depth: 2, patch: 16 }));
  if (hasFfmpeg) {
    const source = 'testsrc=size=96x64:rate=5:duration=0.6';
    const args = ['-v', 'error', '-f', 'lavfi', '-i', source, '-pix_fmt', 'yuv420p', join(root, 'clip.mp4')];
    expect(spawnSync('ffmpeg', args).status).toBe(0);
  }
  server = await spawnServer({ dataDir: join(root, 'data') });
});
afterAll(async () => {
  await server.stop();
  await rm(root, { recursive: true, force: true });
});

/** Splits a command as a shell would, as far as the page needs it; where the output goes is the shell's business. */
function parse(line: string): string[] {
  const words = [...line.split(' > ')[0]!.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain!,
  );
  expect(words.slice(0, 2)).toEqual(['npx', 'dino']);
  return words.slice(2);
}

describe('the examples of docs/cli.md', () => {
  it('are there for every command', () => {
    expect(examples.length).toBeGreaterThanOrEqual(12);
    for (const command of [
      'import',
      'export',
      'search',
      'embed',
      'mask',
      'attention',
      'models',
      'collections',
      'aliases',
      'jobs',
    ]) {
      expect(examples.some((line) => line.startsWith(`npx dino ${command} `))).toBe(true);
    }
  });

  const named = examples.map((line) => [isOfVideo(line) ? `${line} (needs ffmpeg)` : line, line] as const);
  const [possible, skipped] = [
    named.filter(([, line]) => canRun(line)),
    named.filter(([, line]) => !canRun(line)),
  ];

  it.skip.each(skipped)('%s', () => undefined);

  it.each(possible)('%s', async (_name, line) => {
    const args = parse(line);
    const { code, stdout, stderr } = await runDino(args, { cwd: root });
    // Of scenes of different shapes that is the true answer, and no picture is written.
    const others = stderr.replace(/^dino: .*: nothing in common with the others$/gm, '');
    expect(others).not.toMatch(/^dino: /m);
    expect(code).toBe(0);
    if (others === stderr) expect(stdout).not.toBe('');
    if (args.includes('--json')) for (const part of stdout.trim().split('\n')) JSON.parse(part);
  });
});
