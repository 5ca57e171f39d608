import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '#dino/client/dino-client.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';
import { finishDino, runDino, runDinoJson, spawnDino } from './dino-process.js';
import { drawSmallScenes, makeFolder, writeScenes } from './photo-folder.js';

let root: string;
const servers: ServerProcess[] = [];
beforeAll(async () => {
  root = await makeFolder();
  await writeScenes(join(root, 'photos'), await drawSmallScenes(2));
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function serve(dataDir: string, environment: Record<string, string> = {}): Promise<ServerProcess> {
  const server = await spawnServer({ dataDir, environment });
  servers.push(server);
  return server;
}

describe('where a command finds its server', () => {
  it('is at --url or DINO_URL', async () => {
    const server = await serve(join(root, 'by-url'));
    await runDinoJson(['import', 'photos', '-c', 'flag', '--url', server.url], { cwd: root });
    await runDinoJson(['import', 'photos', '-c', 'variable'], {
      cwd: root,
      environment: { DINO_URL: server.url },
    });
    const collections = await createClient({ url: server.url }).listCollections();
    expect(collections).toMatchObject([
      { name: 'flag', count: 12 },
      { name: 'variable', count: 12 },
    ]);
  });

  it('is the one that runs on the data folder', async () => {
    const dataDir = join(root, 'by-folder');
    const server = await serve(dataDir);
    await runDinoJson(['import', 'photos', '-c', 'found', '--data-dir', dataDir], { cwd: root });
    expect(await createClient({ url: server.url }).getCollection('found')).toMatchObject({ count: 12 });
  });

  it('is the command itself where server.json is of a server that was killed', async () => {
    const dataDir = join(root, 'killed');
    const options = { cwd: root, environment: { DINO_DATA_DIR: dataDir } };
    const server = await spawnServer({ dataDir });
    await runDinoJson(['import', 'photos', '-c', 'kept'], options);
    await server.kill();
    await access(join(dataDir, 'server.json'));
    const { results } = await runDinoJson(
      ['search', '--id', 'ring-on-noise/006.jpg', '-c', 'kept', '-k', '50'],
      options,
    );
    expect(results).toHaveLength(11);
  });

  it('is never the server of another folder that has come by the port of a killed one', async () => {
    const other = await serve(join(root, 'other'));
    const dataDir = join(root, 'mine');
    await runDinoJson(['import', 'photos', '-c', 'mine', '--data-dir', dataDir], { cwd: root });
    const gone = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
    await once(gone, 'exit');
    await writeFile(join(dataDir, 'server.json'), JSON.stringify({ url: other.url, pid: gone.pid }));
    const again = await runDinoJson(['import', 'photos', '-c', 'mine', '--data-dir', dataDir], { cwd: root });
    expect(again).toMatchObject({ stored: 0, unchanged: 12 });
    expect(await createClient({ url: other.url }).listCollections()).toEqual([]);
  });

  it('needs a key where the server does', async () => {
    const server = await serve(join(root, 'locked'), { DINO_API_KEYS: 'secret' });
    const environment = { DINO_URL: server.url };
    const refused = await runDino(['models', 'list'], { environment });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/^dino: .*key.* Set DINO_API_KEY\.\n$/);
    const allowed = await runDino(['models', 'list'], {
      environment: { ...environment, DINO_API_KEY: 'secret' },
    });
    expect(allowed.code).toBe(0);
  });
});

describe('where there is no server', () => {
  it('says in one line that the URL is not reachable', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    const { code, stderr } = await runDino(['models', 'list', '--url', `http://127.0.0.1:${port}`]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dino: http:\/\/127\.0\.0\.1:\d+ can't be reached: .*ECONNREFUSED.*\n$/);
  });

  it('refuses what is no URL with 2', async () => {
    const { code, stderr } = await runDino(['models', 'list', '--url', 'localhost']);
    expect(code).toBe(2);
    expect(stderr).toBe("dino: localhost is not a server's URL, such as http://127.0.0.1:8080\n");
  });

  it('says that the data folder is taken where the server on it can not be found', async () => {
    const dataDir = join(root, 'taken');
    await serve(dataDir);
    await rm(join(dataDir, 'server.json'));
    const { code, stderr } = await runDino(['search', '--id', 'x', '-c', 'y', '--data-dir', dataDir]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^dino: .*in use by another process.*--url.*\n$/);
  });

  it('refuses a setting that it does not know with 2', async () => {
    const { code, stderr } = await runDino(['models', 'list'], { environment: { DINO_COLOUR: 'red' } });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^dino: DINO_COLOUR is not a setting\..*\n$/);
  });

  it('leaves no data folder behind where nothing is stored', async () => {
    const cwd = await makeFolder();
    await writeScenes(cwd, await drawSmallScenes(1));
    expect((await runDino(['embed', 'ring-on-noise/003.jpg'], { cwd })).code).toBe(0);
    await expect(access(join(cwd, 'data'))).rejects.toThrow('ENOENT');
    await rm(cwd, { recursive: true });
  });
});

describe('a command that is interrupted', () => {
  it('stops in good order with 130, keeps what it has stored, and goes on when it is run again', async () => {
    const dataDir = join(root, 'interrupted');
    const photos = join(root, 'many');
    await writeScenes(photos, await drawSmallScenes(20));
    const args = [
      'import',
      photos,
      '-c',
      'many',
      '--batch',
      '4',
      '--concurrency',
      '1',
      '--data-dir',
      dataDir,
    ];
    const child = spawnDino(args);
    child.stdout!.once('data', () => child.kill('SIGINT'));
    const { code, stderr } = await finishDino(child);
    expect(code).toBe(130);
    expect(stderr).toMatch(/^dino: interrupted; \d+ images are dealt with/m);
    await expect(readFile(join(dataDir, 'server.json'))).rejects.toThrow('ENOENT');

    const summary = await runDinoJson([...args, '--no-measure']);
    expect(summary.stored + summary.unchanged).toBe(120);
    const { results } = await runDinoJson([
      'search',
      '--id',
      'ring-on-noise/060.jpg',
      '-c',
      'many',
      '-k',
      '500',
      '--data-dir',
      dataDir,
    ]);
    expect(results).toHaveLength(119);
  });

  it('ends without a word when nobody reads its output any more', async () => {
    const child = spawnDino(['embed', join(root, 'photos')]);
    child.stdout!.once('data', () => child.stdout!.destroy());
    const { code, stderr } = await finishDino(child);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});
