import type { Page } from 'playwright-core';
import { expect } from 'vitest';
import { eventually } from './browser.js';
import { drawScenes, type DrawnScene } from '../support/drawn-scenes.js';

export const COLLECTION = 'scenes';
const PER_CLASS = 3;

/** What the tests read from a picture of the page; the DOM's types are not those of Node. */
export interface Image {
  readonly naturalWidth: number;
}

export function drawCollection(): Promise<DrawnScene[]> {
  return drawScenes({ perClass: PER_CLASS, width: 240, height: 160 });
}

/** Slashes, spaces, a percent sign and what is no ASCII: nothing that a path may take for its own. */
export function idOf(scenes: readonly DrawnScene[], index: number): string {
  return `${scenes[index]!.className}/№ ${index % PER_CLASS} 100%?#.jpg`;
}

/** A drawn photo as the file picker gives it. */
export function upload(scene: DrawnScene, name = 'photo.jpg') {
  return { name, mimeType: scene.mediaType, buffer: scene.bytes };
}

/** Stores the scenes over the API. */
export async function fill(url: string, scenes: readonly DrawnScene[], key?: string): Promise<void> {
  const headers = new Headers({ 'Content-Type': 'application/json' });
  if (key !== undefined) headers.set('Authorization', `Bearer ${key}`);
  const path = `${url}/v1/collections/${COLLECTION}`;
  const created = await fetch(path, { method: 'PUT', headers, body: '{}' });
  expect(created.status).toBe(201);
  const images = scenes.map(({ bytes, className }, index) => ({
    id: idOf(scenes, index),
    image: bytes.toString('base64'),
    metadata: { class: className, n: index % PER_CLASS },
  }));
  const body = JSON.stringify({ images });
  const stored = await fetch(`${path}/images`, { method: 'POST', headers, body });
  const { results } = (await stored.json()) as { results: { status: string }[] };
  expect(results.map(({ status }) => status)).toEqual(scenes.map(() => 'created'));
}

/** What the API itself says of a photo. */
export async function ask<T>(url: string, path: string, scene: DrawnScene): Promise<T> {
  const headers = { 'Content-Type': scene.mediaType };
  const body = new Uint8Array(scene.bytes);
  const response = await fetch(`${url}/v1/${path}`, { method: 'POST', headers, body });
  expect(response.status).toBe(200);
  return (await response.json()) as T;
}

/** Waits until the page shows exactly so many stored pictures, each of them loaded. */
export async function shownPictures(
  page: Page,
  count: number,
): Promise<{ names: string[]; scores: number[] }> {
  const widths = () =>
    page
      .locator('#pictures img')
      .evaluateAll((images: Image[]) => images.map(({ naturalWidth }) => naturalWidth));
  await eventually(widths).toEqual(Array.from({ length: count }, () => 240));
  return {
    names: await page.locator('#pictures .name').allTextContents(),
    scores: (await page.locator('#pictures .score').allTextContents()).map(Number),
  };
}
