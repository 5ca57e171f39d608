import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '#dino/config.js';
import { textFile, type DrawnScene } from '../support/drawn-scenes.js';
import {
  CHROMIUM,
  eventually,
  launchBrowser,
  NEEDS_BROWSER,
  serveEmptyFolder,
  visit,
  type ServedFolder,
} from './browser.js';
import { drawCollection, fill, shownPictures, upload, type Image } from './drawn-collection.js';

describe.skipIf(CHROMIUM === undefined)(`the page${NEEDS_BROWSER}`, () => {
  let browser: Browser;
  let scenes: DrawnScene[];

  beforeAll(async () => {
    [browser, scenes] = await Promise.all([launchBrowser(), drawCollection()]);
  });
  afterAll(() => browser.close());

  describe('of an empty server', () => {
    let server: ServedFolder;

    beforeAll(async () => {
      server = await serveEmptyFolder();
    });
    afterAll(() => server.stop());

    async function storedMetadata(collection: string): Promise<object[]> {
      const response = await fetch(`${server.url}/v1/collections/${collection}/images`);
      const { images } = (await response.json()) as { images: { metadata: object }[] };
      return images.map(({ metadata }) => metadata);
    }

    it('says how to begin, and is filled by its form', async () => {
      const { page, leave } = await visit(browser, server.url);
      await page.getByText('npx dino import').waitFor();
      const form = page.locator('#add-form');
      await form.getByLabel('Collection').fill('first');
      await form.getByLabel('Class').fill('drawn');
      const notes = { name: 'notes.txt', mimeType: 'text/plain', buffer: textFile() };
      const files = [...scenes.map((scene, index) => upload(scene, `scene ${index}.jpg`)), notes];
      await page.setInputFiles('#add-files', files);
      expect(await page.locator('#add-chosen').textContent()).toMatch(/^19 photos, /);
      await form.getByRole('button', { name: 'Store photos' }).click();
      const status = page.locator('#add-status');
      await eventually(() => status.textContent()).toBe('19 of 19: 18 stored, 1 refused');
      const failures = await page.locator('#add-failures li').allTextContents();
      expect(failures).toEqual([expect.stringMatching(/^notes\.txt This is not an image/)]);

      expect(await page.locator('#collection').inputValue()).toBe('first');
      for (const name of (await shownPictures(page, 12)).names) expect(name).toMatch(/^scene \d+\.jpg$/);
      const metadata = await storedMetadata('first');
      expect(metadata).toHaveLength(scenes.length);
      expect(metadata).toContainEqual({ file: 'scene 4.jpg', class: 'drawn' });

      await page.setInputFiles('#add-files', files.slice(0, 3));
      await form.getByRole('button', { name: 'Store photos' }).click();
      await eventually(() => status.textContent()).toBe('3 of 3: 0 stored, 3 there already');
      await leave();
    });

    it("takes a folder's photos, each with the name of its folder as class", async () => {
      const folder = await mkdtemp(join(tmpdir(), 'dino-photos-'));
      for (const [index, { className, bytes }] of scenes.entries()) {
        await mkdir(join(folder, className), { recursive: true });
        await writeFile(join(folder, className, `${index}.jpg`), bytes);
      }
      await writeFile(join(folder, 'notes.txt'), textFile());
      const { page, leave } = await visit(browser, server.url);
      await page.locator('#add').evaluate((details: { open: boolean }) => (details.open = true));
      await page.locator('#add-form').getByLabel('Collection').fill('folder');
      await page.setInputFiles('#add-folder', folder);
      await page.getByRole('button', { name: 'Store photos' }).click();
      await eventually(() => page.locator('#add-status').textContent()).toBe('18 of 18: 18 stored');
      const expected = scenes.map(({ className }, index) => ({ file: `${index}.jpg`, class: className }));
      const metadata = await storedMetadata('folder');
      expect(metadata).toHaveLength(expected.length);
      expect(metadata).toEqual(expect.arrayContaining(expected));
      await rm(folder, { recursive: true });
      await leave();
    });

    it('stops when asked to, and says what is stored', async () => {
      const { page, leave } = await visit(browser, server.url);
      await page.locator('#add').evaluate((details: { open: boolean }) => (details.open = true));
      await page.locator('#add-form').getByLabel('Collection').fill('stopped');
      await page.setInputFiles(
        '#add-files',
        scenes.map((scene, index) => upload(scene, `${index}.jpg`)),
      );
      // The second batch never arrives.
      let batches = 0;
      await page.route('**/v1/collections/stopped/images', (route) => {
        batches += 1;
        return batches === 2 ? undefined : route.continue();
      });
      await page.getByRole('button', { name: 'Store photos' }).click();
      await eventually(() => batches).toBe(2);
      await page.getByRole('button', { name: 'Stop' }).click();
      const status = page.locator('#add-status');
      await eventually(() => status.textContent()).toBe('Stopped: 8 of 18: 8 stored');
      expect(await storedMetadata('stopped')).toHaveLength(8);
      await leave();
    });

    it('names a file that can no longer be read, and stores the others', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'dino-photos-'));
      const paths = ['kept.jpg', 'moved.jpg', 'also-kept.jpg'].map((name) => join(folder, name));
      for (const [index, path] of paths.entries()) await writeFile(path, scenes[index]!.bytes);
      const { page, leave } = await visit(browser, server.url);
      await page.locator('#add').evaluate((details: { open: boolean }) => (details.open = true));
      await page.locator('#add-form').getByLabel('Collection').fill('moved');
      await page.setInputFiles('#add-files', paths);
      await rm(paths[1]!);
      await page.getByRole('button', { name: 'Store photos' }).click();
      const status = page.locator('#add-status');
      await eventually(() => status.textContent()).toBe('3 of 3: 2 stored, 1 refused');
      const failures = await page.locator('#add-failures li').allTextContents();
      expect(failures).toEqual([expect.stringMatching(/^moved\.jpg The file can’t be read/)]);

      await page.setInputFiles('#photo', paths[0]!);
      await page.locator('#mask-map').waitFor();
      await rm(paths[0]!);
      await page.locator('#threshold').press('Home');
      const problem = page.locator('#mask .problem');
      await eventually(() => problem.textContent()).toContain('The file can’t be read');
      await rm(folder, { recursive: true });
      await leave([/Failed to load resource: net::ERR_/]);
    });

    it('refuses the name of a collection as the server does', async () => {
      const { page, leave } = await visit(browser, server.url);
      const form = page.locator('#add-form');
      await page.locator('#add').evaluate((details: { open: boolean }) => (details.open = true));
      await page.setInputFiles('#add-files', upload(scenes[0]!));
      await form.getByLabel('Collection').fill('not/a name');
      await page.getByRole('button', { name: 'Store photos' }).click();
      expect(await form.locator(':invalid').getAttribute('id')).toBe('add-collection');
      const { collections } = (await (await fetch(`${server.url}/v1/collections`)).json()) as {
        collections: { name: string }[];
      };
      expect(collections.map(({ name }) => name)).not.toContain('not/a name');
      await leave();
    });
  });

  it('shows what was imported meanwhile when it is looked at again', async () => {
    const server = await serveEmptyFolder();
    const { page, leave } = await visit(browser, server.url);
    await page.getByText('npx dino import').waitFor();
    await fill(server.url, scenes);
    await page.evaluate("window.dispatchEvent(new Event('focus'))");
    await shownPictures(page, 12);
    expect(await page.getByText('npx dino import').isVisible()).toBe(false);
    await leave();
    await server.stop();
  });

  it('names the model with what is measured of it, and leads to the API', async () => {
    const modelsDir = await mkdtemp(join(tmpdir(), 'dino-models-'));
    const { modelsDir: bundled, model } = loadConfig({});
    await cp(join(bundled, model), join(modelsDir, model), { recursive: true });
    const manifestPath = join(modelsDir, model, 'manifest.json');
    const manifest = JSON.parse(await readFile(manifestPath, 'utf8')) as { evaluation: object };
    const knn = [
      { dataset: 'shapes', k: 20, top1: 0.4567, untrainedTop1: 0.1849 },
      { dataset: 'colours', k: 10, top1: 0.9 },
      { dataset: 'written by hand' },
    ];
    await writeFile(manifestPath, JSON.stringify({ ...manifest, evaluation: { knn } }));
    const server = await serveEmptyFolder({ modelsDir });
    const { page, leave } = await visit(browser, server.url);
    const line = page.locator('#model > *');
    await line.first().waitFor();
    expect(await line.allTextContents()).toEqual([
      model,
      expect.stringMatching(/^\d+ dimensions$/),
      expect.stringMatching(/^\d+ px patches$/),
      expect.stringMatching(/^\d+ heads$/),
      '20-NN accuracy on shapes: 45.7 % (untrained: 18.5 %)',
      '10-NN accuracy on colours: 90.0 %',
    ]);
    await page.getByRole('navigation').getByRole('link', { name: 'API reference' }).click();
    await page.getByText('/v1/embeddings').first().waitFor();
    await leave();
    await server.stop();
    await rm(modelsDir, { recursive: true });
  });

  describe('of a server that wants a key', () => {
    let server: ServedFolder;

    beforeAll(async () => {
      server = await serveEmptyFolder({ apiKeys: ['open sesame'] });
      await fill(server.url, scenes, 'open sesame');
    });
    afterAll(() => server.stop());

    it('asks for it, says when it is wrong, and keeps it for the tab', async () => {
      const { page, leave } = await visit(browser, server.url);
      const key = page.getByRole('textbox', { name: 'API key' });
      await key.fill('open barley');
      await page.getByRole('button', { name: 'Use it' }).click();
      await eventually(() => page.locator('#key-refusal').textContent()).toContain(
        'That key was not accepted.',
      );
      await key.fill('open sesame');
      await key.press('Enter');
      await shownPictures(page, 12);
      await page.locator('#pictures button').first().click();
      await page.locator('#mask-map').waitFor();
      expect(await page.locator('#original-photo').evaluate((image: Image) => image.naturalWidth)).toBe(240);

      await page.reload();
      await shownPictures(page, 12);
      expect(await page.locator('#key-dialog').isVisible()).toBe(false);
      await leave([/status of 401/]);
    });

    it('says what is missing to whom would rather not give one', async () => {
      const { page, leave } = await visit(browser, server.url);
      await page.getByRole('button', { name: 'Not now' }).click();
      await eventually(() => page.locator('#server-problem').textContent()).toContain(
        'Send one of the configured keys',
      );
      await leave([/status of 401/]);
    });
  });
});
