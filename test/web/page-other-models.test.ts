import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DrawnScene } from '../support/drawn-scenes.js';
import { editManifest, installTiny } from '../support/installed-models.js';
import {
  CHROMIUM,
  launchBrowser,
  NEEDS_BROWSER,
  serveEmptyFolder,
  visit,
  type ServedFolder,
} from './browser.js';
import { drawCollection, fill, shownPictures, upload } from './drawn-collection.js';

describe.skipIf(CHROMIUM === undefined)(`the page of a model that lacks something${NEEDS_BROWSER}`, () => {
  let browser: Browser;
  let scenes: DrawnScene[];
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'dino-models-'));
    await installTiny(folder, 'conv', 'resnet.pth');
    await installTiny(folder, 'keys-only', 'vit-huggingface');
    await editManifest(join(folder, 'models', 'keys-only'), ({ outputs, ...manifest }) => ({
      ...manifest,
      outputs: { embedding: outputs.embedding, keys: outputs.keys },
    }));
    [browser, scenes] = await Promise.all([launchBrowser(), drawCollection()]);
  });
  afterAll(async () => {
    await browser.close();
    await rm(folder, { recursive: true });
  });

  const serve = (model: string): Promise<ServedFolder> =>
    serveEmptyFolder({ modelsDir: join(folder, 'models'), model });

  it('finds neighbours without attention and keys, and says what it leaves out', async () => {
    const server = await serve('conv');
    await fill(server.url, scenes);
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scenes[0]!));
    await shownPictures(page, 12);
    expect(await page.locator('#original-photo').isVisible()).toBe(true);
    for (const panel of ['#attention', '#mask']) expect(await page.locator(panel).isVisible()).toBe(false);
    expect(await page.locator('#lacking').textContent()).toBe(
      'conv can’t make attention maps and masks of them, nor masks of TokenCut and LOST: they are not shown here.',
    );
    expect(await page.locator('#model').textContent()).not.toContain('heads');
    expect(await page.locator('#shell').textContent()).not.toContain('v1/masks');
    expect(await page.locator('.problem:visible').count()).toBe(0);
    await leave();
    await server.stop();
  });

  it('makes the masks of the keys where there is no attention', async () => {
    const server = await serve('keys-only');
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scenes[0]!));
    const options = page.locator('#mask-head option');
    expect(await options.allTextContents()).toEqual([
      'the keys (TokenCut)',
      'the keys (LOST)',
      'the keys (MaskCut)',
      'the keys (Deep Spectral)',
      'the point clicked',
    ]);
    expect(await page.locator('#threshold').isDisabled()).toBe(true);
    await page.locator('#mask-map').or(page.getByText('Nothing stands out.')).first().waitFor();
    expect(await page.locator('#attention').isVisible()).toBe(false);
    expect(await page.locator('.problem:visible').count()).toBe(0);
    await leave();
    await server.stop();
  });
});
