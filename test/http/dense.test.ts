import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRandom, drawScene, textFile, type DrawnScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
let scene: DrawnScene;
let other: DrawnScene;
let model: { id: string; dimension: number; heads: number };
beforeAll(async () => {
  service = await TestService.start();
  scene = await drawScene({ className: 'disc-on-stripes', width: 320, height: 240 });
  other = await drawScene({ className: 'cross-on-dots', width: 150, height: 300, format: 'png' });
  model = (await service.call('GET', '/v1/models')).body.data[0];
});
afterAll(() => service.close());

const files = (...images: Uint8Array[]) => images.map((bytes, i) => ({ name: `${i}.jpg`, bytes }));
const uri = ({ bytes, mediaType }: DrawnScene) => `data:${mediaType};base64,${bytes.toString('base64')}`;

function floats(base64: string): number[] {
  const bytes = Buffer.from(base64, 'base64');
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}

describe('POST /v1/embeddings with tokens', () => {
  it('adds the token of every patch of the whole image, and leaves the embedding as it is', async () => {
    const plain = await service.call('POST', '/v1/embeddings', { raw: scene.bytes });
    expect(plain.body.data[0].tokens).toBeUndefined();
    const { status, headers, body } = await service.call('POST', '/v1/embeddings', {
      raw: scene.bytes,
      query: { tokens: true, size: 320 },
    });
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^application\/json/);
    const { tokens, embedding } = body.data[0];
    expect(embedding).toEqual(plain.body.data[0].embedding);
    const { grid, width, height, dimension } = tokens;
    expect({ grid, width, height, dimension }).toEqual({
      grid: { height: 15, width: 20 },
      width: 320,
      height: 240,
      dimension: model.dimension,
    });
    expect(tokens.values).toHaveLength(300);
    for (const row of tokens.values) expect(row).toHaveLength(model.dimension);
    expect(body.usage.total_tokens).toBe(plain.body.usage.total_tokens + 300);
  });

  it('writes the same numbers as base64, for several images in order', async () => {
    const ask = (encoding_format: string) =>
      service.call('POST', '/v1/embeddings', {
        json: { input: [uri(scene), uri(other)], tokens: true, size: 64, encoding_format },
      });
    const [numbers, text] = [await ask('float'), await ask('base64')];
    expect(text.body.data.map((item: { tokens: object }) => item.tokens)).toMatchObject([
      { grid: { height: 3, width: 4 } },
      { grid: { height: 4, width: 2 } },
    ]);
    numbers.body.data.forEach((item: { tokens: { values: number[][] } }, i: number) => {
      expect(floats(text.body.data[i].tokens.values)).toEqual(item.tokens.values.flat().map(Math.fround));
    });
  });

  it('refuses a size without tokens, and more than 8 images with them', async () => {
    const size = await service.call('POST', '/v1/embeddings', { raw: scene.bytes, query: { size: 224 } });
    expect([size.status, size.body.detail]).toEqual([400, expect.stringContaining('tokens: true')]);
    const many = await service.call('POST', '/v1/embeddings', {
      json: { input: Array<string>(9).fill(uri(scene)), tokens: true },
    });
    expect([many.status, many.body.detail]).toEqual([400, expect.stringContaining('not 9')]);
    const beyond = { raw: scene.bytes, query: { tokens: true, size: 2000 } };
    expect((await service.call('POST', '/v1/embeddings', beyond)).status).toBe(400);
  });
});

describe('POST /v1/attention as base64', () => {
  it('holds the same numbers, a text per head', async () => {
    const ask = (encoding_format: string) =>
      service.call('POST', '/v1/attention', { raw: scene.bytes, query: { size: 128, encoding_format } });
    const [numbers, text] = [await ask('float'), await ask('base64')];
    expect(text.body.attention).toHaveLength(model.heads);
    expect(text.body.attention.map(floats)).toEqual(
      numbers.body.attention.map((row: number[]) => row.map(Math.fround)),
    );
  });
});

/** A picture without repetition that two others are cut from, or mirrored: where each point has gone is known. */
async function drawField(width: number, height: number): Promise<Buffer> {
  const random = createRandom(7);
  const cells = Uint8Array.from({ length: (width / 16) * (height / 16) * 3 }, () => 256 * random());
  return sharp(cells, { raw: { width: width / 16, height: height / 16, channels: 3 } })
    .resize(width, height, { kernel: 'cubic' })
    .png()
    .toBuffer();
}

interface Pair {
  readonly score: number;
  readonly first: { readonly x: number; readonly y: number };
  readonly second: { readonly x: number; readonly y: number };
}

async function pairsOf(images: Buffer[], query: Record<string, string | number | boolean>): Promise<Pair[]> {
  const { status, body } = await service.call('POST', '/v1/correspondences', {
    files: files(...images),
    query,
  });
  expect(status).toBe(200);
  return body.pairs;
}

/** Share of the pairs whose second point is where the first has gone, within a patch. */
function shareRight(pairs: readonly Pair[], goes: (point: Pair['first']) => Pair['first']): number {
  const right = pairs.filter(({ first, second }) => {
    const { x, y } = goes(first);
    return Math.abs(second.x - x) <= 16 && Math.abs(second.y - y) <= 16;
  });
  return right.length / pairs.length;
}

describe('POST /v1/correspondences', () => {
  it.each([
    { features: 'keys', binned: false },
    { features: 'patch_tokens', binned: false },
    { features: 'keys', binned: true },
  ])('finds what has moved where it has gone: %o', async (options) => {
    const field = await drawField(384, 256);
    const cut = (left: number, top: number) =>
      sharp(field).extract({ left, top, width: 320, height: 224 }).png().toBuffer();
    const pairs = await pairsOf([await cut(0, 0), await cut(64, 32)], { ...options, size: 320 });
    expect(pairs).toHaveLength(50);
    expect(shareRight(pairs, ({ x, y }) => ({ x: x - 64, y: y - 32 }))).toBeGreaterThan(0.9);
  });

  it('finds every patch of an image in the same image', async () => {
    const pairs = await pairsOf([scene.bytes, scene.bytes], { size: 160, maxPairs: 4096 });
    expect(pairs.length).toBeGreaterThan(60);
    for (const { score, first, second } of pairs) {
      expect(score).toBeCloseTo(1, 5);
      expect(second).toEqual(first);
    }
  });

  it('takes JSON and stored images, and describes both in the order of the request', async () => {
    await service.call('PUT', '/v1/collections/dense', { json: {} });
    await service.call('PUT', '/v1/collections/dense/images/other', { raw: other.bytes, type: 'image/png' });
    const images = [uri(scene), { collection: 'dense', id: 'other' }];
    const json = await service.call('POST', '/v1/correspondences', {
      json: { images, size: 160, minScore: -0.5, maxPairs: 7 },
    });
    expect(json.status).toBe(200);
    expect(json.body).toMatchObject({
      model: model.id,
      images: [
        { width: 320, height: 240, grid: { height: 8, width: 10 } },
        { width: 150, height: 300, grid: { height: 10, width: 5 } },
      ],
    });
    const form = await pairsOf([scene.bytes, other.bytes], { size: 160, minScore: -0.5, maxPairs: 7 });
    expect(json.body.pairs).toEqual(form);
    expect(form.length).toBeLessThanOrEqual(7);
    // The middles of patches: 32 px wide in the first image, 30 in the second.
    for (const { first, second } of form) {
      expect([(first.x - 16) % 32, (first.y - 15) % 30, (second.x - 15) % 30, (second.y - 15) % 30]).toEqual([
        0, 0, 0, 0,
      ]);
    }
    const none = await pairsOf([scene.bytes, other.bytes], { size: 160, minScore: 1 });
    expect(none).toEqual([]);
  });

  it('answers Accept: image/png with both side by side', async () => {
    const { status, headers, body } = await service.call('POST', '/v1/correspondences', {
      files: files(scene.bytes, other.bytes),
      fields: { size: '160' },
      accept: 'image/png',
    });
    expect([status, headers['content-type']]).toEqual([200, 'image/png']);
    const { width, height } = await sharp(body).metadata();
    expect([width, height]).toEqual([720 + 12 + 360, 720]);
  });

  it('takes images smaller than a patch and long strips', async () => {
    const strip = await sharp(scene.bytes).resize(1000, 10, { fit: 'fill' }).png().toBuffer();
    const dot = await sharp(scene.bytes).resize(3, 2, { fit: 'fill' }).png().toBuffer();
    expect(await pairsOf([strip, dot], { size: 320 })).not.toEqual([]);
    expect(await pairsOf([dot, dot], { size: 16, binned: true })).toHaveLength(1);
  });

  it('refuses one image, three, none, a file that is no image, and options that make no sense', async () => {
    const ask = (count: number, query = {}) =>
      service.call('POST', '/v1/correspondences', {
        files: files(...Array<Buffer>(count).fill(scene.bytes)),
        query,
      });
    expect([(await ask(1)).status, (await ask(3)).status]).toEqual([400, 400]);
    expect((await ask(1)).body.detail).toBe('Send two images, not 1.');
    expect((await service.call('POST', '/v1/correspondences', { json: {} })).status).toBe(400);
    const text = await service.call('POST', '/v1/correspondences', { files: files(scene.bytes, textFile()) });
    expect(text.status).toBe(415);
    const cut = files(scene.bytes, scene.bytes.subarray(0, 2000));
    expect((await service.call('POST', '/v1/correspondences', { files: cut })).status).toBe(422);
    for (const query of [
      { maxPairs: 0 },
      { minScore: 2 },
      { minScore: 'NaN' },
      { features: 'values' },
      { size: 8 },
      { model: '' },
    ]) {
      const { status } = await ask(2, query);
      expect([query, status === 400 || status === 404]).toEqual([query, true]);
    }
    expect((await ask(2, { model: 'nobody' })).status).toBe(404);
  });
});

describe('POST /v1/collections/{collection}/images/{id}/explain', () => {
  const path = '/v1/collections/explained/images/hit/explain';
  beforeAll(async () => {
    await service.call('PUT', '/v1/collections/explained', { json: {} });
    await service.call('PUT', '/v1/collections/explained/images/hit', { raw: scene.bytes });
  });

  it('has for each patch of query and hit how like the other its best patch is', async () => {
    const { status, body } = await service.call('POST', path, {
      raw: other.bytes,
      type: 'image/png',
      query: { size: 160 },
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      model: model.id,
      query: { width: 150, height: 300, grid: { height: 10, width: 5 } },
      hit: { width: 320, height: 240, grid: { height: 8, width: 10 } },
    });
    expect([body.query.agreement.length, body.hit.agreement.length]).toEqual([50, 80]);
    // The best of all pairs is the best of either side.
    expect(Math.max(...body.query.agreement)).toBe(Math.max(...body.hit.agreement));
    for (const score of [...body.query.agreement, ...body.hit.agreement])
      expect(Math.abs(score)).toBeLessThanOrEqual(1);
  });

  it('agrees everywhere where the query is the hit, in whichever form it comes', async () => {
    const image = { collection: 'explained', id: 'hit' };
    const { body } = await service.call('POST', path, { json: { image, size: 160, features: 'keys' } });
    for (const score of [...body.query.agreement, ...body.hit.agreement]) expect(score).toBeCloseTo(1, 5);
  });

  it('is brightest where both show the same thing', async () => {
    // The upper half is that of the hit, the lower half is of another scene.
    const lower = await sharp(other.bytes).resize(320, 120, { fit: 'fill' }).toBuffer();
    const half = await sharp(scene.bytes)
      .composite([{ input: lower, left: 0, top: 120 }])
      .png()
      .toBuffer();
    const { body } = await service.call('POST', path, { raw: half, type: 'image/png', query: { size: 320 } });
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const { agreement, grid } = body.query;
    const middle = (grid.height / 2 - 0.5) * grid.width;
    const [above, below] = [mean(agreement.slice(0, middle)), mean(agreement.slice(middle + grid.width))];
    expect(above).toBeGreaterThan(below);
  });

  it('answers Accept: image/png with a picture of both', async () => {
    const { headers, body } = await service.call('POST', path, {
      files: files(other.bytes),
      fields: { size: '160', opacity: '0.5' },
      accept: 'image/png',
    });
    expect(headers['content-type']).toBe('image/png');
    const { width, height } = await sharp(body).metadata();
    expect([width, height]).toEqual([360 + 12 + 720, 720]);
  });

  it('answers 404 for what is not stored, and names a request that is not valid', async () => {
    for (const missing of [
      '/v1/collections/explained/images/no/explain',
      '/v1/collections/no/images/hit/explain',
    ])
      expect((await service.call('POST', missing, { raw: other.bytes })).status).toBe(404);
    expect((await service.call('POST', path, { query: { size: 160 } })).status).toBe(400);
    expect((await service.call('POST', path, { raw: other.bytes, query: { opacity: 2 } })).status).toBe(400);
    expect((await service.call('POST', path, { raw: textFile() })).status).toBe(415);
  });
});
