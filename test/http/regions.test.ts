import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compressCounts } from '#dino/segmentation/rle.js';
import { drawScene, type DrawnScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

describe('search by a region', () => {
  const path = '/v1/collections/regions/search';
  let service: TestService;
  let left: DrawnScene;
  let right: DrawnScene;
  let both: Buffer;
  beforeAll(async () => {
    service = await TestService.start();
    const scene = await drawScene({ className: 'disc-on-stripes', width: 320, height: 240 });
    left = await drawScene({ className: 'square-on-checks', format: 'png' });
    right = await drawScene({ className: 'triangle-on-waves', format: 'png' });
    both = await sharp({ create: { width: 500, height: 300, channels: 3, background: '#fff' } })
      .composite([
        { input: left.bytes, left: 10, top: 20 },
        { input: right.bytes, left: 260, top: 30 },
      ])
      .png()
      .toBuffer();
    await service.call('PUT', '/v1/collections/regions', { json: {} });
    for (const [id, { bytes }] of Object.entries({ left, right, disc: scene }))
      await service.call('PUT', `/v1/collections/regions/images/${id}`, { raw: bytes, type: 'image/png' });
  });

  afterAll(() => service.close());

  const first = (body: { results: { id: string; score: number }[] }) => body.results[0]!;
  const box = (bbox: number[]) => JSON.stringify({ bbox });
  /** A box as COCO's run lengths. */
  function maskOf(width: number, height: number, [x, y, w, h]: readonly [number, number, number, number]) {
    const counts = [x * height + y];
    for (let column = 0; column < w; column++) counts.push(h, column < w - 1 ? height - h : 0);
    counts[counts.length - 1] = width * height - counts.slice(0, -1).reduce((sum, run) => sum + run, 0);
    return { size: [height, width], counts: compressCounts(counts) };
  }

  it('finds the photo that a box was cut from, with a score of one', async () => {
    for (const [id, bbox] of [
      ['left', [10, 20, 224, 224]],
      ['right', [260, 30, 224, 224]],
    ] as const) {
      const { status, body } = await service.call('POST', path, {
        raw: both,
        type: 'image/png',
        query: { region: box([...bbox]) },
      });
      expect(status).toBe(200);
      expect(first(body)).toMatchObject({ id, score: expect.closeTo(1, 3) });
    }
  });

  it('takes a mask, a stored image and JSON alike, and an image that lies on its side', async () => {
    await service.call('PUT', '/v1/collections/regions-2', { json: {} });
    await service.call('PUT', '/v1/collections/regions-2/images/both', { raw: both, type: 'image/png' });
    const mask = maskOf(500, 300, [260, 30, 224, 224]);
    const stored = await service.call('POST', path, {
      json: { image: { collection: 'regions-2', id: 'both' }, region: { mask } },
    });
    expect(first(stored.body)).toMatchObject({ id: 'right', score: expect.closeTo(1, 3) });
    const turned = await sharp(both)
      .rotate(-90)
      .jpeg({ quality: 100 })
      .withMetadata({ orientation: 6 })
      .toBuffer();
    const { body } = await service.call('POST', path, {
      raw: turned,
      query: { region: box([10, 20, 224, 224]) },
    });
    expect(first(body)).toMatchObject({ id: 'left', score: expect.closeTo(1, 1) });
  });

  it('pools the tokens of the region where it is told to, of a box and of its mask the same', async () => {
    const bbox = [260, 30, 224, 224] as const;
    const image = `data:image/png;base64,${both.toString('base64')}`;
    const ask = (region: object) =>
      service.call('POST', path, { json: { image, region, regionVector: 'tokens' } });
    const [byBox, byMask] = [await ask({ bbox }), await ask({ mask: maskOf(500, 300, bbox) })];
    expect(byBox.status).toBe(200);
    expect(byBox.body.results).toHaveLength(3);
    byBox.body.results.forEach((hit: { score: number }, i: number) =>
      expect(byMask.body.results[i].score).toBeCloseTo(hit.score, 5),
    );
    const whole = await service.call('POST', path, { json: { image } });
    expect(first(byBox.body).score).not.toBeCloseTo(first(whole.body).score, 4);
  });

  it('classifies a region too', async () => {
    for (const id of ['left', 'right', 'disc'])
      await service.call('PATCH', `/v1/collections/regions/images/${id}`, { json: { metadata: { is: id } } });
    const { body } = await service.call('POST', '/v1/collections/regions/classify', {
      raw: both,
      type: 'image/png',
      query: { field: 'is', region: box([260, 30, 224, 224]), k: 1 },
    });
    expect(body.label).toBe('right');
  });

  it('refuses a region that is none, beyond the image, of another size, or of no image', async () => {
    const ask = (region: string, query = {}) =>
      service.call('POST', path, { raw: both, type: 'image/png', query: { region, ...query } });
    for (const [region, reason] of [
      ['{', 'not valid JSON'],
      ['{}', 'region takes'],
      [box([1, 2, 3]), 'region takes'],
      [box([600, 0, 10, 10]), 'holds no part'],
      [box([0, 0, 0, 10]), 'holds no part'],
      [JSON.stringify({ mask: { size: [3, 4], counts: '<' } }), '4 x 3 px'],
      [JSON.stringify({ mask: { size: [3, 4], counts: '1' } }), "don't sum to"],
      [JSON.stringify({ mask: { size: [300, 500], counts: '' } }), "don't sum to"],
      [JSON.stringify({ bbox: [0, 0, 1, 1], mask: { size: [1, 1], counts: '01' } }), 'region takes'],
    ] as const) {
      const { status, body } = await ask(region);
      expect([region, status, body.detail]).toEqual([region, 400, expect.stringContaining(reason)]);
    }
    const byId = await service.call('POST', path, { json: { id: 'left', region: { bbox: [0, 0, 9, 9] } } });
    expect([byId.status, byId.body.detail]).toEqual([400, expect.stringContaining('by id')]);
    const alone = await service.call('POST', path, {
      raw: both,
      type: 'image/png',
      query: { regionVector: 'tokens' },
    });
    expect([alone.status, alone.body.detail]).toEqual([400, expect.stringContaining('needs region')]);
  });
});
