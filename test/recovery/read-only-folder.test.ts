import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';
import { runDino } from '../cli/dino-process.js';
import { image, settings } from '../contracts/collection-fixtures.js';
import { CAN_MOUNT, mountFolder } from '../support/mounted-folder.js';

describe.skipIf(!CAN_MOUNT)('a data folder that can only be read', () => {
  it('is refused at the start, in words, and is as it was', async () => {
    const disk = await mountFolder(16);
    try {
      const dataDir = join(disk.path, 'data');
      const open = (): Promise<EmbeddedCollectionStore> => EmbeddedCollectionStore.open({ dataDir });
      const store = await open();
      await store.createCollection('c', settings());
      await store.putImages('c', [image('a', [1, 0, 0, 0])]);
      await store.close();
      disk.forbidWriting();
      await expect(open()).rejects.toMatchObject({
        code: 'internal',
        message: expect.stringMatching(/data folder .*can't be written/),
      });
      const { code, stderr } = await runDino(['serve', '--data-dir', dataDir, '--port', '0']);
      expect(code).not.toBe(0);
      expect(stderr).toMatch(/can't be written/);
      expect(stderr).not.toMatch(/\n\s+at /);
    } finally {
      await disk.dispose();
    }
  });
});
