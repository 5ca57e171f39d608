import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SETTINGS } from '#dino/config.js';
import { runDino } from './dino-process.js';

const COMMANDS = [
  'serve',
  'import',
  'search',
  'embed',
  'mask',
  'attention',
  'models list',
  'models pull',
  'models import',
  'models load',
  'models unload',
  'models remove',
  'models verify',
  'collections list',
  'collections create',
  'collections show',
  'collections alter',
  'collections reembed',
  'collections delete',
  'aliases list',
  'aliases set',
  'aliases delete',
  'jobs list',
  'jobs show',
  'jobs cancel',
  'jobs wait',
];

describe('how the command line is used', () => {
  it.each(COMMANDS)('dino %s --help has an example', async (command) => {
    const { code, stdout, stderr } = await runDino([...command.split(' '), '--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toMatch(new RegExp(`\\nExamples?:\\n  \\$ dino ${command} `.replace(/ $/, '')));
  });

  it('lists every command in its help', async () => {
    const { code, stdout } = await runDino(['--help']);
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(stdout).toContain(`\n  ${command.split(' ')[0]} `);
  });

  it('says its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await runDino(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  it('has a flag of serve for each setting', async () => {
    const { stdout } = await runDino(['serve', '--help']);
    const flags = [...stdout.matchAll(/^ {2}--([a-z-]+) <value>/gm)].map(([, flag]) => flag);
    expect(flags).toHaveLength(Object.keys(SETTINGS).length);
    expect(flags).toEqual(expect.arrayContaining(['port', 'data-dir', 'max-images-per-request']));
  });

  it.each([
    [['serch'], /^dino: unknown command 'serch' \(Did you mean search\?\) See dino --help\.\n$/],
    [['cook'], /^dino: unknown command 'cook' See dino --help\.\n$/],
    [['import', 'x'], /^dino: required option '-c, --collection <name>' not specified\n$/],
    [['import', '-c', 'x'], /^dino: missing required argument 'path'\n$/],
    [['import', 'x', '-c', 'x', '--batch', 'many'], /^dino: .*--batch.*'many'.* 1 to 1024\.\n$/],
    [['search', '-c', 'x'], /^dino: give an image file or --id, one of them\n$/],
    [['search', 'a.jpg', '--id', 'a', '-c', 'x'], /^dino: give an image file or --id, one of them\n$/],
    [['search', '/nowhere/a.jpg', '-c', 'x'], /^dino: \/nowhere\/a\.jpg: there is no such file or folder\n$/],
    [['search', '--id', 'a', '-c', 'x', '--filter', '{'], /^dino: .*--filter.*JSON.*\n$/],
    [['search', '--id', 'a', '-c', 'x', '-k', '0'], /^dino: .*-k.*1 to 1000\.\n$/],
    [['embed', '/nowhere'], /^dino: \/nowhere: there is no such file or folder\n$/],
    [['mask', 'a.jpg', '--head', 'nose', '-o', 'x'], /^dino: .*best, union, all.*\n$/],
    [['mask', 'a.jpg', '--threshold', '1.5', '-o', 'x'], /^dino: .*0 to 1\.\n$/],
    [['attention', 'a.jpg', '--colour'], /^dino: unknown option '--colour'.*\n$/],
    [['train'], /^dino: missing required argument 'photos'\n$/],
    [['train', '--arch', 'vit_tiny'], /^dino: give the folder of photos before the options of training\n$/],
    [['train', '/nowhere'], /^dino: \/nowhere: there is no such file or folder\n$/],
    [['train', '.', '--output-dir', 'x'], /^dino: --output_dir is not for you to set: dino train does\n$/],
    [['train', '.', '--max-minutes', '0'], /^dino: --max-minutes takes a positive number, not 0\n$/],
    [['train', '.', '--labelled', 'a'], /^dino: --labelled takes two folders.*\n$/],
    [['train', '.', '--crop', 'big'], /^dino: .*--crop.*1 to 4096\.\n$/],
    [['models', 'list', '--url', 'ftp://x'], /^dino: ftp:\/\/x is not a server's URL.*\n$/],
  ])('dino %j ends with 2 and one line', async (args, line) => {
    const { code, stdout, stderr } = await runDino(args);
    expect(stderr).toMatch(line);
    expect(code).toBe(2);
    expect(stdout).toBe('');
  });

  it('lets serve refuse a setting that is out of range', async () => {
    const { code, stderr } = await runDino(['serve', '--port', '70000']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/DINO_PORT.*70000.*0\.\.65535/);
  });
});
