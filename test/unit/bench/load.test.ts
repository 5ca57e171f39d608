import { once } from 'node:events';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closedLoop, LoadClient, openLoop } from '../../bench/load.js';
import { asNewFile, readTarPhotos } from '../../bench/photos.js';
import { measureTree } from '../../bench/process-tree.js';
import { rateOf } from '../../bench/statistics.js';
import { drawScene } from '../../support/drawn-scenes.js';

let server: Server;
let client: LoadClient;
let inProgress = 0;
let most = 0;
let answered = 0;
beforeAll(async () => {
  server = createServer((request, response) => {
    most = Math.max(most, ++inProgress);
    setImmediate(() => {
      inProgress -= 1;
      answered += 1;
      response.statusCode = request.url === '/full' ? 429 : 200;
      response.end('told');
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  client = new LoadClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterAll(() => {
  client.close();
  server.close();
});

describe('a load', () => {
  const send = () => client.send({ method: 'POST', path: '/', type: 'text/plain', body: Buffer.from('x') });

  it('of a closed loop has as many requests in progress as connections, and counts after it is warm', async () => {
    const began = performance.now();
    const times = await closedLoop(send, { connections: 3, seconds: 0.2, warmUpSeconds: 0.1 });
    expect(most).toBeLessThanOrEqual(3);
    expect(answered).toBeGreaterThanOrEqual(3);
    for (const time of times) expect(time).toBeGreaterThanOrEqual(began + 100);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('of a closed loop lasts until it tells a rate, however slow the answers are', async () => {
    const times = await closedLoop(send, { connections: 3, seconds: 0, warmUpSeconds: 0 });
    expect(times.length).toBeGreaterThanOrEqual(6);
    expect(rateOf(times)).toBeGreaterThan(0);
  });

  it('of an open loop sends every request that is due', async () => {
    const waits = await openLoop(send, { perSecond: 50, seconds: 0.2, arrivals: 'even' });
    expect(waits).toHaveLength(10);
    expect(Math.min(...waits)).toBeGreaterThan(0);
  });

  it('ends with the status and the text of a refusal', async () => {
    await expect(client.send({ method: 'GET', path: '/full' })).rejects.toThrow('GET /full: 429 told');
  });
});

describe('the photos of a load', () => {
  it('are the same picture in another file each time', async () => {
    const { bytes } = await drawScene({ className: 'ring-on-noise', width: 64, height: 48 });
    const [first, second] = [asNewFile(bytes), asNewFile(bytes)];
    expect(first.equals(second)).toBe(false);
    const raw = (file: Buffer) => sharp(file).raw().toBuffer();
    expect((await raw(first)).equals(await raw(bytes))).toBe(true);
  });

  it('are missed by the name of the file', async () => {
    await expect(readTarPhotos(['/nowhere/photos.tar'], 1)).rejects.toThrow(
      'there are no photos at /nowhere/photos.tar',
    );
  });
});

describe('what a process and those below it use', () => {
  it('is summed over the tree, whatever the programs are called', async () => {
    const proc = await mkdtemp(join(tmpdir(), 'dino-proc-'));
    const write = async (
      pid: number,
      parent: number,
      [ticks, resident, ofFiles]: [number, number, number],
    ) => {
      const fields = ['S', parent, ...Array<number>(9).fill(0), ticks, 0, 0];
      await mkdir(join(proc, `${pid}`));
      await writeFile(join(proc, `${pid}/stat`), `${pid} (node (a) b) ${fields.join(' ')}`);
      await writeFile(join(proc, `${pid}/statm`), `1000 ${resident} ${ofFiles} 0 0 0 0`);
    };
    await write(12, 11, [100, 4, 1]);
    await write(10, 1, [200, 1, 1]);
    await write(11, 10, [300, 2, 0]);
    await write(13, 1, [400, 8, 8]);
    await mkdir(join(proc, 'sys'));
    expect(measureTree(10, proc)).toEqual({
      bytes: 7 * 4096,
      mainBytes: 4096,
      anonymousBytes: 5 * 4096,
      mainSeconds: 2,
      childSeconds: 4,
    });
    expect(() => measureTree(99, proc)).toThrow('there is no process 99');
    await rm(proc, { recursive: true });
  });

  it.runIf(process.platform === 'linux')('is true of this process', () => {
    const { bytes, anonymousBytes, mainSeconds } = measureTree(process.pid);
    expect(bytes).toBeGreaterThan(20e6);
    expect(anonymousBytes / bytes).toBeGreaterThan(0.1);
    expect(anonymousBytes / bytes).toBeLessThan(1);
    expect(mainSeconds).toBeGreaterThan(0);
  });
});
