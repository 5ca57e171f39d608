import sharp from 'sharp';
import { readTarPhotos } from './photos.js';

/** What the measuring process has the asking one do: plain data, so that it can cross. */
export interface LoadTask {
  readonly url: string;
  /** Tar of JPEGs. */
  readonly photos: string;
  readonly scale: number;
  /** Photos of a request. */
  readonly images: number;
  readonly accept?: string;
  readonly requests: number;
  readonly atOnce: number;
}

export interface LoadReport {
  readonly meanMs: number;
}

/** Photos in the archive that are asked about. */
const PHOTOS = 16;
let photos: Promise<Buffer[]> | undefined;

async function load({ photos: tar, scale }: LoadTask): Promise<Buffer[]> {
  const some = await readTarPhotos([tar], PHOTOS);
  return Promise.all(
    some.map(async ({ jpeg }) => {
      const { width } = await sharp(jpeg).metadata();
      return sharp(jpeg)
        .resize(Math.round(width * scale))
        .jpeg()
        .toBuffer();
    }),
  );
}

async function ask(task: LoadTask): Promise<LoadReport> {
  const bytes = await (photos ??= load(task));
  let next = 0;
  let spent = 0;
  const worker = async () => {
    while (next < task.requests) {
      const first = next++;
      const form = new FormData();
      for (let at = 0; at < task.images; at++) {
        form.append('images', new Blob([bytes[(first + at) % bytes.length]!]), `${at}.jpg`);
      }
      const started = performance.now();
      const headers: Record<string, string> = task.accept === undefined ? {} : { Accept: task.accept };
      const response = await fetch(task.url, { method: 'POST', body: form, headers });
      await response.arrayBuffer();
      if (!response.ok) throw new Error(`${task.url}: ${response.status}`);
      spent += performance.now() - started;
    }
  };
  await Promise.all(Array.from({ length: task.atOnce }, worker));
  return { meanMs: spent / task.requests };
}

process.on('message', (task: LoadTask) => void ask(task).then((report) => process.send!(report)));
