/**
 * Makes the README's pictures from a real server with the bundled model, on scenes that the project draws.
 * Run by `npm run pictures`.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp, { type OverlayOptions } from 'sharp';
import { createClient, type DinoClient } from '#dino/client/dino-client.js';
import { drawScene, drawScenes, type SceneClass } from '../test/support/drawn-scenes.js';
import { spawnServer } from '../test/support/server-process.js';

const OUT = fileURLToPath(new URL('images/', import.meta.url));
const SIDE = 180;
const GAP = 16;
const CAPTION = 28;

interface Tile {
  readonly image: Uint8Array;
  readonly caption: string;
}

/** Rows of pictures with a caption under each. */
async function writeSheet(
  path: string,
  rows: readonly (readonly Tile[])[],
  tile: { width: number; height: number },
): Promise<void> {
  const width = GAP + Math.max(...rows.map((row) => row.length)) * (tile.width + GAP);
  const height = GAP + rows.length * (tile.height + CAPTION + GAP);
  const layers: OverlayOptions[] = [];
  for (const [y, row] of rows.entries()) {
    for (const [x, { image, caption }] of row.entries()) {
      const left = GAP + x * (tile.width + GAP);
      const top = GAP + y * (tile.height + CAPTION + GAP);
      const input = await sharp(image)
        .resize(tile.width, tile.height, { fit: 'contain', background: '#ffffff00' })
        .png()
        .toBuffer();
      const text = `<svg width="${tile.width}" height="${CAPTION}"><text x="50%" y="19" text-anchor="middle" font-family="DejaVu Sans, sans-serif" font-size="13" fill="#333">${caption}</text></svg>`;
      layers.push({ input, left, top }, { input: Buffer.from(text), left, top: top + tile.height });
    }
  }
  await sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
    .composite(layers)
    .png({ palette: true })
    .toFile(path);
}

async function drawSearch(client: DinoClient): Promise<void> {
  const scenes = await drawScenes({ perClass: 8, width: SIDE, height: SIDE });
  await client.createCollection('scenes');
  const images = scenes.map(({ bytes, className }, i) => ({
    id: `${className}/${i}`,
    image: bytes,
    metadata: { class: className },
  }));
  await client.putImages('scenes', images);
  const byId = new Map(images.map(({ id, image }) => [id, image]));
  const classes: SceneClass[] = ['disc-on-stripes', 'ring-on-noise', 'cross-on-dots'];
  const rows: Tile[][] = [];
  for (const className of classes) {
    const query = await drawScene({ className, seed: 1001, width: SIDE, height: SIDE });
    const { results } = await client.search('scenes', { image: query.bytes }, { k: 5 });
    rows.push([
      { image: query.bytes, caption: 'query' },
      ...results.map(({ id, score }) => ({
        image: byId.get(id)!,
        caption: `${score.toFixed(3)}  ${id.split('/')[0]}`,
      })),
    ]);
  }
  await writeSheet(join(OUT, 'search.png'), rows, { width: SIDE, height: SIDE });
}

async function drawMask(client: DinoClient): Promise<void> {
  const rows: Tile[][] = [];
  for (const file of ['meadow.jpg', 'water.png']) {
    const image = await readFile(new URL(`../test/golden/${file}`, import.meta.url));
    const { heads } = await client.attention(image);
    const row: Tile[] = [{ image, caption: 'photo' }];
    for (let head = 0; head < heads; head++) {
      row.push({
        image: await client.attentionPicture(image, { head, overlay: true }),
        caption: `attention of head ${head}`,
      });
    }
    const { masks } = await client.masks(image);
    row.push({
      image: await client.maskPicture(image, { picture: 'overlay' }),
      caption: `mask: head ${masks[0]!.head}, score ${masks[0]!.score.toFixed(2)}`,
    });
    row.push({ image: await client.maskPicture(image, { picture: 'cutout' }), caption: 'cut-out' });
    rows.push(row);
  }
  await writeSheet(join(OUT, 'mask.png'), rows, { width: 200, height: 150 });
}

await mkdir(OUT, { recursive: true });
const dataDir = await mkdtemp(join(tmpdir(), 'dino-pictures-'));
const server = await spawnServer({ dataDir });
try {
  const client = createClient({ url: server.url });
  await drawSearch(client);
  await drawMask(client);
} finally {
  await server.stop();
  await rm(dataDir, { recursive: true });
}
