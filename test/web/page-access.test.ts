import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DrawnScene } from '../support/drawn-scenes.js';
import {
  CHROMIUM,
  launchBrowser,
  NEEDS_BROWSER,
  serveEmptyFolder,
  visit,
  type ServedFolder,
} from './browser.js';
import { drawCollection, fill, shownPictures, upload } from './drawn-collection.js';

describe.skipIf(CHROMIUM === undefined)(`the page, for everyone${NEEDS_BROWSER}`, () => {
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

  it('is used with the keyboard alone', async () => {
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scenes[1]!));
    await page.locator('#mask-download').waitFor();
    // Mask, attention and neighbours come each at their own time.
    await page.locator('#heads input[value="mean"]').waitFor();
    await shownPictures(page, 12);

    const stops: string[] = [];
    const focused = page.locator(':focus');
    const press = async (key: string) => {
      await page.keyboard.press(key);
      return focused.evaluate(
        (element: { id: string; className: string; value?: string }) =>
          element.id || element.className || String(element.value),
      );
    };
    for (let stop = ''; stop !== 'picture' && stops.length < 30;) stops.push((stop = await press('Tab')));
    const ids = [
      'photo',
      'mean',
      'opacity',
      'smooth',
      'mask-download',
      'threshold',
      'mask-head',
      'mask-refine',
      'back',
      'collection',
      'k',
      'picture',
    ];
    expect(stops.filter((stop) => ids.includes(stop))).toEqual(ids);

    const name = await page.locator('#pictures .name').first().textContent();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: `Nearest to ${name}` }).waitFor();
    expect(await focused.getAttribute('id')).toBe('neighbours-heading');

    await page.locator('#attention-map').waitFor();
    await page.locator('#heads input').first().focus();
    await press('ArrowRight');
    expect(await page.locator('#heads input:checked').inputValue()).toBe('0');
    expect(await page.locator('#attention-map').getAttribute('aria-label')).toBe(
      `Attention of head 0 over ${name}`,
    );
    await leave();
  });

  it('gives every control a name and every picture a text', async () => {
    const { page, leave } = await visit(browser, server.url);
    await page.setInputFiles('#photo', upload(scenes[1]!));
    await page.locator('#mask-download').waitFor();
    await shownPictures(page, 12);
    await page
      .locator('summary')
      .evaluateAll((all: { click(): void }[]) => all.forEach((summary) => summary.click()));
    const snapshot = await page.locator('body').ariaSnapshot();
    const nameless = snapshot
      .split('\n')
      .filter((line) =>
        /- (button|textbox|combobox|slider|radio|checkbox|link|img|progressbar|group)(:| \[|$)/.test(
          line.trim(),
        ),
      );
    expect(nameless.filter((line) => !line.includes('group'))).toEqual([]);
    expect(snapshot).toMatch(/slider "Threshold"/);
    expect(snapshot).toMatch(/combobox "Collection"/);
    expect(snapshot).toMatch(/img "Mask over photo\.jpg/);
    await leave();
  });

  it.each([
    [360, 'light'],
    [360, 'dark'],
    [768, 'light'],
    [1400, 'dark'],
  ] as const)('fits %d px and is readable in %s', async (width, colorScheme) => {
    const { page, leave } = await visit(browser, server.url, {
      viewport: { width, height: 800 },
      colorScheme,
    });
    await page.setInputFiles('#photo', upload(scenes[1]!));
    await page.locator('#mask-download').waitFor();
    await shownPictures(page, 12);
    await page
      .locator('summary')
      .evaluateAll((all: { click(): void }[]) => all.forEach((summary) => summary.click()));
    const scroll = await page
      .locator('html')
      .evaluate((root: { scrollWidth: number; clientWidth: number }) => [root.scrollWidth, root.clientWidth]);
    expect(scroll).toEqual([width, width]);

    const colour = async (name: string) => {
      const value = `getComputedStyle(document.documentElement).getPropertyValue('--${name}')`;
      return luminance(String(await page.evaluate(value)));
    };
    const pairs = [
      ['ink', 'ground'],
      ['ink', 'surface'],
      ['quiet', 'ground'],
      ['quiet', 'surface'],
      ['accent', 'ground'],
      ['accent', 'surface'],
      ['on-accent', 'accent'],
      ['alarm', 'alarm-ground'],
      ['ink', 'sunken'],
    ] as const;
    for (const [front, behind] of pairs) {
      const both = [await colour(front), await colour(behind)];
      const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
      // WCAG 2.2, 1.4.3.
      expect(contrast, `${front} on ${behind}`).toBeGreaterThanOrEqual(4.5);
    }
    expect((await colour('ground')) < 0.5).toBe(colorScheme === 'dark');
    await leave();
  });
});

/** Relative luminance of `#rrggbb`, WCAG 2.2. */
function luminance(colour: string): number {
  const channels = [1, 3, 5].map((at) => Number.parseInt(colour.trim().slice(at, at + 2), 16) / 255);
  const [red, green, blue] = channels.map((value) =>
    value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4,
  ) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
