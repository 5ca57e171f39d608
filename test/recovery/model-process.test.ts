import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient } from '#dino/client/dino-client.js';
import { childrenOf } from '../support/child-processes.js';
import { drawScene } from '../support/drawn-scenes.js';
import { spawnServer, type ServerProcess } from '../support/server-process.js';

let dataDir: string;
let server: ServerProcess;
let photo: Uint8Array<ArrayBuffer>;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'dino-process-'));
  server = await spawnServer({ dataDir });
  photo = new Uint8Array((await drawScene({ className: 'disc-on-stripes' })).bytes);
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function untilGone(pids: readonly number[]): Promise<void> {
  while (pids.some(isThere)) await new Promise(setImmediate);
}

describe('the process of a model', () => {
  it('that is killed fails what it had in hand with 503, and is started again', async () => {
    const [pid] = childrenOf(server.pid);
    const before = (await createClient({ url: server.url }).embed([photo])).vectors;
    // Large enough to be at work still.
    const asked = fetch(`${server.url}/v1/masks?size=1024&method=lost`, {
      method: 'POST',
      headers: { 'Content-Type': 'image/jpeg' },
      body: photo,
    });
    await untilBusy();
    process.kill(pid!, 'SIGKILL');
    const answer = await asked;
    expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '1']);
    const { type, detail } = (await answer.json()) as { type: string; detail: string };
    expect(type).toBe('urn:dino:problem:not-ready');
    expect(detail).toMatch(/^The process of the model dino-vitmicro16-photos ended \(SIGKILL\).* Try again/);
    expect((await createClient({ url: server.url }).embed([photo])).vectors).toEqual(before);
    expect(childrenOf(server.pid)).not.toEqual([pid]);
    await server.stop();
  });

  it('ends with the server that is stopped, and with the one that is killed', async () => {
    const stopped = childrenOf(server.pid);
    expect(stopped).toHaveLength(1);
    expect(await server.stop()).toBe(0);
    expect(stopped.some(isThere)).toBe(false);
    server = await spawnServer({ dataDir });
    const orphaned = childrenOf(server.pid);
    await server.kill();
    await untilGone(orphaned);
  });
});

/** Waits until the model has begun with an image. */
async function untilBusy(): Promise<void> {
  const batches = async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(/^dino_inference_batch_size_count (\d+)$/m.exec(text)![1]);
  };
  while ((await batches()) < 2) await new Promise(setImmediate);
}
