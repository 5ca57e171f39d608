import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { loadConfig, type Config } from '#dino/config.js';
import { startServer } from '#dino/server.js';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** The browser of this machine; undefined where there is none. */
export const CHROMIUM = [process.env.CHROMIUM, ...PLACES].find(
  (path): path is string => path !== undefined && existsSync(path),
);

/** Says why tests are left out, where they are. */
export const NEEDS_BROWSER =
  CHROMIUM === undefined
    ? ` (left out: needs Chromium at ${PLACES.join(' or ')}, or its path in the variable CHROMIUM)`
    : '';

/** A fresh profile, and nothing that calls home. */
export async function launchBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

/** Waits for what the page will show; a slow machine is no failure. */
export function eventually<T>(read: () => Promise<T> | T) {
  return expect.poll(read, { timeout: 30_000 });
}

export interface ServedFolder {
  readonly url: string;
  stop(): Promise<void>;
}

/** The real server on a free port, with an empty data folder of its own. */
export async function serveEmptyFolder(
  settings: Partial<Record<keyof Config, unknown>> = {},
): Promise<ServedFolder> {
  const dataDir = await mkdtemp(join(tmpdir(), 'dino-page-'));
  const server = await startServer(
    loadConfig({}, { port: 0, dataDir, logLevel: 'silent', inferenceWorkers: 1, ...settings }),
  );
  return {
    url: server.url,
    async stop() {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A look at the page by somebody who writes down what goes wrong. */
export interface Visit {
  readonly page: Page;
  /**
   * Ends the visit, which must have passed without a word of the console but the expected ones, and without a
   * request to another origin than the server's.
   */
  readonly leave: (expected?: readonly RegExp[]) => Promise<void>;
}

export async function visit(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1000 }, ...options });
  const page = await context.newPage();
  const complaints: string[] = [];
  const strangers: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  context.on('request', (request) => {
    const address = request.url();
    const isOwn = /^(blob|data):/.test(address) || new URL(address).origin === new URL(url).origin;
    if (!isOwn) strangers.push(address);
  });
  await page.goto(url);
  return {
    page,
    async leave(expected = []) {
      await context.close();
      const unexpected = complaints.filter((text) => !expected.some((pattern) => pattern.test(text)));
      expect({ unexpected, strangers }).toEqual({ unexpected: [], strangers: [] });
    },
  };
}
