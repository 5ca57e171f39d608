import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import sharp from 'sharp';
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
import {
  ask,
  COLLECTION,
  drawCollection,
  fill,
  idOf,
  shownPictures,
  upload,
  type Image,
} from './drawn-collection.js';

if (CHROMIUM === undefined) console.warn(`The tests of the page are not run${NEEDS_BROWSER}.`);

describe.skipIf(CHROMIUM === undefined)(`the page${NEEDS_BROWSER}`, () => {
  let browser: Browser;
  let scenes: DrawnScene[];
  let server: ServedFolder;

  beforeAll(async () => {
    [browser, scenes, server] = await Promise.all([launchBrowser(), drawCollection(), serveEmptyFolder()]);
    await fill(server.url, scenes);
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  it("shows a photo's attention head by head, as the API gives it", async () => {
    const scene = scenes[4]!;
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scene));
    await page.locator('#attention-map').waitFor();
    expect(await page.locator('#original-photo').evaluate((image: Image) => image.naturalWidth)).toBe(
      scene.width,
    );

    const { grid, heads, attention } = await ask<{
      grid: { width: number; height: number };
      heads: number;
      attention: number[][];
    }>(server.url, 'attention', scene);
    const radios = page.getByRole('group', { name: 'Head' }).getByRole('radio');
    expect(await radios.count()).toBe(heads + 1);
    const shown = new Set<string>();
    for (const [head, values] of attention.entries()) {
      await radios.nth(head + 1).check();
      const { width, height, data } = await pixelsOf(page, 'attention-map');
      expect([width, height]).toEqual([grid.width, grid.height]);
      // The inferno map grows brighter all the way, so the brightest patch is the one most attended to.
      const brightness = values.map(
        (_, cell) => 2 * data[cell * 4]! + 3 * data[cell * 4 + 1]! + data[cell * 4 + 2]!,
      );
      expect(brightness[values.indexOf(Math.max(...values))]).toBe(Math.max(...brightness));
      expect(brightness[values.indexOf(Math.min(...values))]).toBe(Math.min(...brightness));
      shown.add(data.join());
    }
    expect(shown.size).toBe(heads);
    // Said of this test's own way to look.
    await leave([/willReadFrequently/]);
  });

  it('blends the attention with the photo as the opacity slider says', async () => {
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scenes[0]!));
    const map = page.locator('#attention-map');
    await map.waitFor();
    const opacity = () => map.getAttribute('style');
    expect(await opacity()).toMatch(/opacity: 0\.6\b/);
    await page.locator('#opacity').press('Home');
    expect(await opacity()).toMatch(/opacity: 0;/);
    expect(await page.locator('#opacity-value').textContent()).toBe('0 %');
    await leave();
  });

  it('finds the photo itself first, with its score, and names its neighbours', async () => {
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scenes[7]!));
    await page.getByRole('heading', { name: 'Nearest to photo.jpg' }).waitFor();
    await page.locator('#pictures .score').first().waitFor();
    const { names, scores } = await shownPictures(page, 12);
    expect(names[0]).toBe(idOf(scenes, 7));
    expect(scores[0]).toBe(1);
    expect(scores).toEqual([...scores].sort((a, b) => b - a));
    const first = page.getByRole('button', {
      name: `More like ${idOf(scenes, 7)}, score 1.000, class: ${scenes[7]!.className}, n: 1`,
    });
    expect(await first.count()).toBe(1);

    await page.locator('#k').selectOption('6');
    await eventually(() => page.locator('#pictures li').count()).toBe(6);
    await leave();
  });

  it('shows more like a neighbour, and the browser goes back to the photo', async () => {
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scenes[2]!));
    await page.locator('#pictures .score').first().waitFor();
    const { names } = await shownPictures(page, 12);

    await page.locator('#pictures button').nth(1).click();
    await page.getByRole('heading', { name: `Nearest to ${names[1]}` }).waitFor();
    await eventually(() => page.locator('#pictures .name').allTextContents()).not.toContain(names[1]);
    expect((await shownPictures(page, 12)).names).toHaveLength(12);
    expect(new URL(page.url()).searchParams.get('id')).toBe(names[1]);
    await page.locator('#attention-map:not([hidden])').waitFor();
    expect(await page.locator('#facts').textContent()).toContain(`in ${COLLECTION}`);

    await page.getByRole('button', { name: 'Back' }).click();
    await page.getByRole('heading', { name: 'Nearest to photo.jpg' }).waitFor();
    await eventually(() => page.locator('#pictures .name').allTextContents()).toEqual(names);
    await leave();
  });

  it('opens a stored photo that the address names', async () => {
    const query = new URLSearchParams({ collection: COLLECTION, id: idOf(scenes, 10) });
    const { page, leave } = await visit(browser, `${server.url}/?${query.toString()}`);
    await page.getByRole('heading', { name: `Nearest to ${idOf(scenes, 10)}` }).waitFor();
    await shownPictures(page, 12);
    expect(await page.locator('#original-photo').evaluate((image: Image) => image.naturalWidth)).toBe(240);
    await leave();
  });

  it('lets a stored photo be picked to begin with, page after page', async () => {
    const { page, leave } = await visit(browser, server.url);
    const first = await shownPictures(page, 12);
    expect(first.scores).toEqual([]);
    await page.getByRole('button', { name: 'Show more' }).click();
    const all = await shownPictures(page, scenes.length);
    expect([...all.names].sort()).toEqual(scenes.map((_, index) => idOf(scenes, index)).sort());
    expect(await page.getByRole('button', { name: 'Show more' }).isVisible()).toBe(false);
    await page.getByRole('button', { name: `More like ${idOf(scenes, 5)}, ` }).click();
    await page.getByRole('heading', { name: `Nearest to ${idOf(scenes, 5)}` }).waitFor();
    await leave();
  });

  it('changes the mask with the threshold, and gives it as PNG', async () => {
    const scene = scenes[4]!;
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scene));
    await page.locator('#mask-map').waitFor();
    expect(await shownArea(page)).toBe(await areaFor(server.url, scene, 0.6));

    const slider = page.locator('#threshold');
    await slider.press('End');
    await eventually(() => shownArea(page)).toBe(await areaFor(server.url, scene, 0.95));
    await slider.press('Home');
    const least = await areaFor(server.url, scene, 0.05);
    expect(least).toBeLessThan(await areaFor(server.url, scene, 0.95));
    await eventually(() => shownArea(page)).toBe(least);

    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('#mask-download').click(),
    ]);
    expect(download.suggestedFilename()).toBe('photo-mask.png');
    const { data, info } = await sharp(await readFile(await download.path()))
      .greyscale()
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height]).toEqual([scene.width, scene.height]);
    expect(data.filter((value) => value > 127)).toHaveLength(least);
    await leave();
  });

  it('masks what is clicked, by every method that is chosen, and refines', async () => {
    const scene = scenes[4]!;
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scene));
    await page.locator('#mask-map').waitFor();
    const area = async (query: string) =>
      (await ask<{ masks: { area: number }[] }>(server.url, `masks?${query}`, scene)).masks[0]?.area;
    const { width, height } = (await page.locator('#mask-frame').boundingBox())!;
    const asked = page.waitForRequest(/point=/);
    await page.locator('#mask-frame').click({ position: { x: width * 0.3, y: height * 0.6 } });
    const point = new URL((await asked).url()).searchParams.get('point')!;
    const [x, y] = point.split(',').map(Number) as [number, number];
    expect(Math.abs(x - scene.width * 0.3)).toBeLessThan(2);
    expect(Math.abs(y - scene.height * 0.6)).toBeLessThan(2);
    expect(await page.locator('#mask-head').inputValue()).toBe('point');
    expect(await page.locator('#threshold').isDisabled()).toBe(true);
    await eventually(() => shownArea(page)).toBe(await area(`point=${point}`));
    await page.locator('#mask-refine').check();
    await eventually(() => shownArea(page)).toBe(await area(`point=${point}&refine=bilateral`));
    await page.locator('#mask-refine').uncheck();
    await page.locator('#mask-head').selectOption('deep-spectral');
    await eventually(() => shownArea(page)).toBe(await area('method=deep-spectral'));
    // The next photo has not been clicked yet.
    await page.locator('#mask-frame').click({ position: { x: 5, y: 5 } });
    await page.setInputFiles('#photo', upload(scenes[5]!));
    await page.locator('#mask-map').waitFor();
    expect(await page.locator('#mask-head').inputValue()).toBe('best');
    await leave();
  });

  it('drops a question when the next one is asked', async () => {
    const scene = scenes[8]!;
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scene));
    await page.locator('#mask-map').waitFor();

    // The first question is held on its way, so that the second one overtakes it.
    const held: (() => Promise<void>)[] = [];
    await page.route(/threshold=0\.95/, (route) => void held.push(() => route.continue()));
    const ends: string[] = [];
    page.on('requestfailed', (request) =>
      ends.push(`${new URL(request.url()).search} ${request.failure()?.errorText}`),
    );
    const slider = page.locator('#threshold');
    await slider.press('End');
    await eventually(() => held.length).toBe(1);
    await slider.press('Home');
    const least = await areaFor(server.url, scene, 0.05);
    await eventually(() => shownArea(page)).toBe(least);
    await Promise.all(held.map((release) => release()));
    await eventually(() => ends).toEqual(['?threshold=0.95&head=best&format=png net::ERR_ABORTED']);
    expect(await shownArea(page)).toBe(least);
    expect(await page.locator('#mask .problem').textContent()).toBe('');
    await leave();
  });

  it('shows what the server says of a file that is no image, and goes on with the next one', async () => {
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', { name: 'notes.jpg', mimeType: 'image/jpeg', buffer: textFile() });
    const problem = page.locator('#photo-problem');
    await eventually(() => problem.textContent()).not.toBe('');
    const answer = await fetch(`${server.url}/v1/masks`, {
      method: 'POST',
      headers: { 'Content-Type': 'image/jpeg' },
      body: new Uint8Array(textFile()),
    });
    const { detail } = (await answer.json()) as { detail: string };
    expect(await problem.textContent()).toBe(`notes.jpg: ${detail}`);
    expect(await problem.getAttribute('role')).toBe('alert');
    expect(await page.locator('#views').isVisible()).toBe(false);
    expect((await page.locator('.problem').allTextContents()).filter(Boolean)).toHaveLength(1);

    await page.setInputFiles('#photo', upload(scenes[0]!));
    await page.locator('#mask-map').waitFor();
    expect(await problem.textContent()).toBe('');
    await leave([/status of 415/]);
  });

  it('says when the server does not answer, and tries again', async () => {
    const { page, leave } = await visit(browser, server.url);
    await shownPictures(page, 12);
    await page.context().setOffline(true);
    await page.setInputFiles('#photo', upload(scenes[0]!));
    const problem = page.locator('#attention .problem');
    await eventually(() => problem.textContent()).toContain('No answer came from the server.');
    await page.context().setOffline(false);
    await problem.getByRole('button', { name: 'Try again' }).click();
    await page.locator('#attention-map').waitFor();
    expect(await problem.textContent()).toBe('');
    await leave([/ERR_INTERNET_DISCONNECTED/]);
  });

  it('takes a photo that is pasted or dropped anywhere', async () => {
    const { page, leave } = await visit(browser, server.url);
    const send = (kind: 'paste' | 'drop', index: number, name: string) =>
      page.evaluate(`(() => {
          const bytes = Uint8Array.from(atob('${scenes[index]!.bytes.toString('base64')}'), (c) => c.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], '${name}', { type: 'image/jpeg' }));
          const init = { bubbles: true, cancelable: true };
          document.querySelector('footer, main').dispatchEvent('${kind}' === 'paste'
            ? new ClipboardEvent('paste', { ...init, clipboardData: data })
            : new DragEvent('drop', { ...init, dataTransfer: data }));
        })()`);
    for (const [kind, index] of [
      ['paste', 3],
      ['drop', 9],
    ] as const) {
      await send(kind, index, `${kind}.jpg`);
      await page.getByRole('heading', { name: `Nearest to ${kind}.jpg` }).waitFor();
      await eventually(() => page.locator('#pictures .name').first().textContent()).toBe(idOf(scenes, index));
    }
    await leave();
  });
});

interface Canvas {
  readonly width: number;
  readonly height: number;
  getContext(kind: '2d'): {
    getImageData(x: number, y: number, w: number, h: number): { data: Uint8ClampedArray };
  };
}

function pixelsOf(page: Page, id: string): Promise<{ width: number; height: number; data: number[] }> {
  return page.locator(`#${id}:not([hidden])`).evaluate((canvas: Canvas) => {
    const { width, height } = canvas;
    return { width, height, data: [...canvas.getContext('2d').getImageData(0, 0, width, height).data] };
  });
}

async function areaFor(url: string, scene: DrawnScene, threshold: number): Promise<number> {
  const { masks } = await ask<{ masks: { area: number }[] }>(url, `masks?threshold=${threshold}`, scene);
  return masks[0]!.area;
}

const shownArea = async (page: Page) => {
  const text = await page.locator('#measures div:first-child small').textContent();
  return Number(text?.replace(/\D/g, ''));
};
