import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import type { DinoClient } from '../../client/dino-client.js';
import type { Snapshot } from '../../client/resources.js';
import { createByteProgress } from '../byte-progress.js';
import { CommandError } from '../command-error.js';

/**
 * Writes a snapshot's archive to a file, which is there only once it is whole.
 *
 * @throws CommandError when what has arrived is not what the server has checked
 */
export async function downloadSnapshot(client: DinoClient, id: string, path: string): Promise<Snapshot> {
  const snapshot = await client.getSnapshot(id);
  const part = `${path}.part`;
  const file = await open(part, 'w');
  const progress = createByteProgress({
    title: `downloading ${id}`,
    doneBytes: 0,
    totalBytes: snapshot.bytes,
  });
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of await client.downloadSnapshot(id)) {
      hash.update(chunk);
      await file.writeFile(chunk);
      bytes += chunk.length;
      progress.update(bytes);
    }
    if (hash.digest('hex') !== snapshot.sha256) {
      throw new CommandError(`snapshot ${id} is damaged: its SHA-256 is not ${snapshot.sha256}`);
    }
    await file.sync();
    await rename(part, path);
    return snapshot;
  } finally {
    progress.stop();
    await file.close();
    await rm(part, { force: true });
  }
}
