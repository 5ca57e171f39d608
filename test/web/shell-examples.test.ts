import { execFileSync } from 'node:child_process';
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
import { ask, drawCollection, fill, idOf, shownPictures, upload } from './drawn-collection.js';

interface Masks {
  readonly masks: { readonly area: number }[];
}

describe.skipIf(CHROMIUM === undefined)(`the page, for the shell${NEEDS_BROWSER}`, () => {
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

  it('writes down the same questions for a shell, with the settings chosen', async () => {
    const scene = scenes[4]!;
    const { page, leave } = await visit(browser, server.url);
    const answers = async () => {
      const lines = (await page.locator('#shell').textContent())!.split('\n');
      return Promise.all(lines.filter((line) => line.startsWith('curl ')).map((line) => run(line, scene)));
    };
    await page.locator('#k').selectOption('6');
    await page.setInputFiles('#photo', upload(scene, "Anna's photo.jpg"));
    await page.locator('#threshold').press('Home');
    await shownPictures(page, 6);
    const ofFile = await answers();
    expect(ofFile.map(({ sent }) => sent)).toEqual(Array.from({ length: 4 }, () => "@Anna's photo.jpg"));
    const least = (await ask<Masks>(server.url, 'masks?threshold=0.05', scene)).masks[0]!.area;
    const found = [
      'image/png',
      { masks: [{ area: least }] },
      { results: { length: 6, 0: { id: idOf(scenes, 4) } } },
      { object: 'list' },
    ];
    expect(ofFile.map(({ answer }) => answer)).toMatchObject(found);

    await page.locator('#pictures button').first().click();
    await page.getByRole('heading', { name: `Nearest to ${idOf(scenes, 4)}` }).waitFor();
    const ofStored = await answers();
    // The same photo is now a stored one, which is not among its own neighbours.
    expect(ofStored[1]!.answer).toMatchObject({ masks: [{ area: least }] });
    const { names } = await shownPictures(page, 6);
    expect(ofStored[2]!.answer).toMatchObject({ results: names.map((id) => ({ id })) });
    await leave();
  });
});

/** Does what a line says, but for curl: the shell takes it apart, and `fetch` sends it. */
async function run(line: string, scene: DrawnScene): Promise<{ sent: string; answer: unknown }> {
  const words = execFileSync('sh', ['-c', `printf '%s\\n' ${line}`], { encoding: 'utf8' })
    .trimEnd()
    .split('\n');
  const after = (option: string) =>
    words.flatMap((word, index) => (words[index - 1] === option ? [word] : []));
  const sent = [...after('-d'), ...after('--data-binary')].join();
  const body = sent.startsWith('@') ? new Uint8Array(scene.bytes) : sent;
  const headers = after('-H').map((header) => header.split(': ') as [string, string]);
  const response = await fetch(words.at(-1)!, { method: 'POST', headers, body });
  expect(response.status).toBe(200);
  const type = response.headers.get('Content-Type')!;
  return { sent, answer: type.startsWith('application/json') ? await response.json() : type };
}
