import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeRle } from '#dino/segmentation/rle.js';
import { drawScene, exifJpeg, maskIou, type DrawnScene } from '../support/drawn-scenes.js';
import { fillRings } from '../support/fill-rings.js';
import { TestService, type Call } from '../support/test-service.js';

let service: TestService;
let scene: DrawnScene;
beforeAll(async () => {
  service = await TestService.start();
  scene = await drawScene({ className: 'square-on-checks', width: 331, height: 247 });
});
afterAll(() => service.close());

/** The methods with options under which they find something in the scene. */
const METHODS: [method: string, query: Record<string, string | number>][] = [
  ['attention', {}],
  ['tokencut', { tau: 0.5 }],
  ['lost', {}],
  ['maskcut', { tau: 0.5, objects: 2 }],
  ['deep-spectral', { objects: 4 }],
  ['point', { point: '150,120' }],
  ['box', { box: '60,40,200,180' }],
];

function masksOf(raw: Uint8Array, query: Call['query'], accept?: string) {
  return service.call('POST', '/v1/masks', { raw, query, accept });
}

function plainPng(width: number, height: number, colour = '#7a8b6c'): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: colour } })
    .png()
    .toBuffer();
}

/** Area and box of a mask, counted pixel by pixel. */
function measure(mask: Uint8Array, width: number): { area: number; bbox: number[] } {
  const inside = [...mask.keys()].filter((i) => mask[i] !== 0);
  const xs = inside.map((i) => i % width);
  const ys = inside.map((i) => Math.floor(i / width));
  const [left, top] = [xs.reduce((a, b) => Math.min(a, b)), ys.reduce((a, b) => Math.min(a, b))];
  const [right, bottom] = [xs.reduce((a, b) => Math.max(a, b)), ys.reduce((a, b) => Math.max(a, b))];
  return { area: inside.length, bbox: [left, top, right - left + 1, bottom - top + 1] };
}

describe.each(METHODS)('POST /v1/masks with the method %s', (method, query) => {
  it.each(['none', 'bilateral'])('tells of the same pixels in every format, refined: %s', async (refine) => {
    const options = { method, ...query, refine, size: 240 };
    const rle = await masksOf(scene.bytes, options);
    expect(rle.status).toBe(200);
    expect(rle.body).toMatchObject({ method, width: 331, height: 247 });
    expect(rle.body.masks.length).toBeGreaterThan(0);
    const png = await masksOf(scene.bytes, { ...options, format: 'png' });
    const polygon = await masksOf(scene.bytes, { ...options, format: 'polygon' });
    const coco = await masksOf(scene.bytes, { ...options, format: 'coco' });
    expect(coco.body.annotations).toHaveLength(rle.body.masks.length);
    for (const [i, mask] of rle.body.masks.entries()) {
      const pixels = decodeRle(mask.rle);
      expect(measure(pixels, 331)).toEqual({ area: mask.area, bbox: mask.bbox });
      expect(mask.score).toBeGreaterThanOrEqual(0);
      expect(mask.score).toBeLessThanOrEqual(1);
      const bytes = Buffer.from(png.body.masks[i].png.split(',')[1], 'base64');
      const { data, info } = await sharp(bytes).greyscale().raw().toBuffer({ resolveWithObject: true });
      expect([info.width, info.height]).toEqual([331, 247]);
      expect(Buffer.compare(data, Buffer.from(pixels.map((value) => value * 255)))).toBe(0);
      const { polygon: rings, ...described } = polygon.body.masks[i];
      expect(mask).toMatchObject(described);
      expect(maskIou(fillRings(rings, 331, 247), pixels)).toBe(1);
      const { score, area, bbox } = mask;
      expect(coco.body.annotations[i]).toEqual({
        ...{ id: i + 1, image_id: 1, category_id: 1, iscrowd: 0 },
        ...{ score, area, bbox, segmentation: mask.rle },
      });
    }
  });

  it('answers for a blank image, a strip, and images smaller than a patch', async () => {
    for (const [width, height] of [
      [64, 64],
      [10_000, 100],
      [7, 5],
      [1, 1],
    ] as const) {
      const bytes = await plainPng(width, height);
      const prompts = { point: '0,0', box: '0,0,1,1' };
      const prompt = Object.fromEntries(Object.entries(prompts).filter(([name]) => name === method));
      for (const refine of ['none', 'bilateral']) {
        const answer = await masksOf(bytes, { method, ...query, ...prompt, refine, size: 160 });
        expect(answer.status).toBe(200);
        for (const { area, rle } of answer.body.masks) {
          expect(decodeRle(rle).reduce((sum, inside) => sum + inside, 0)).toBe(area);
        }
      }
    }
  });

  it('answers for an object of one pixel', async () => {
    const dot = await sharp(await plainPng(200, 160))
      .composite([{ input: await plainPng(1, 1, '#ffffff'), left: 150, top: 120 }])
      .png()
      .toBuffer();
    for (const refine of ['none', 'bilateral']) {
      const { status } = await masksOf(dot, { method, ...query, refine, size: 160 });
      expect(status).toBe(200);
    }
  });
});

describe('POST /v1/masks', () => {
  it('finds nothing, which is no error, where a single patch is all there is', async () => {
    const prompts: Call['query'] = { point: '0,0', box: '0,0,1,1' };
    for (const [method] of METHODS.filter(([name]) => name !== 'attention')) {
      const prompt = Object.entries(prompts).filter(([name]) => name === method);
      for (const format of ['rle', 'polygon', 'png']) {
        const query = { method, size: 16, format, ...Object.fromEntries(prompt) };
        const answer = await masksOf(await plainPng(1, 1), query);
        expect([method, answer.status, answer.body.masks]).toEqual([method, 200, []]);
      }
    }
    const coco = await masksOf(await plainPng(1, 1), { method: 'maskcut', size: 16, format: 'coco' });
    expect(coco.body).toMatchObject({ images: [{ width: 1, height: 1 }], annotations: [] });
  });

  it('refines a mask to the edges of the photo', async () => {
    const box = scene.bbox.join(',');
    const ious: number[] = [];
    for (const refine of ['none', 'bilateral']) {
      const { body } = await masksOf(scene.bytes, { box, refine });
      ious.push(maskIou(decodeRle(body.masks[0].rle), scene.truth));
      expect(body.masks[0].reason.includes('Refined')).toBe(refine === 'bilateral');
    }
    expect(ious[1]).toBeGreaterThan(ious[0]!);
    expect(ious[1]).toBeGreaterThan(0.95);
  });

  it('refines a photo of any size, and answers at its own', async () => {
    const large = await sharp(scene.bytes).resize(3310, 2470).jpeg().toBuffer();
    const { body } = await masksOf(large, { box: '600,400,2000,1800', refine: 'bilateral' });
    expect(body.masks[0].rle.size).toEqual([2470, 3310]);
    expect(measure(decodeRle(body.masks[0].rle), 3310)).toEqual({
      area: body.masks[0].area,
      bbox: body.masks[0].bbox,
    });
  });

  it('takes a prompt alone for its method', async () => {
    const { body } = await masksOf(scene.bytes, { point: '150,120' });
    expect(body).toEqual((await masksOf(scene.bytes, { method: 'point', point: '150,120' })).body);
    expect(body.method).toBe('point');
    const image = `data:image/jpeg;base64,${scene.bytes.toString('base64')}`;
    const json = await service.call('POST', '/v1/masks', { json: { image, box: '60,40,200,180' } });
    const form = await service.call('POST', '/v1/masks', {
      files: [{ name: 'a.jpg', bytes: scene.bytes }],
      fields: { box: '60,40,200,180' },
    });
    expect(json.body.method).toBe('box');
    expect(form.body).toEqual(json.body);
  });

  it('reads prompts on the upright image', async () => {
    const found = [];
    // The same picture, stored upright and on its side.
    for (const orientation of [1, 6] as const) {
      const { body } = await masksOf(await exifJpeg(orientation), { point: '60,10', refine: 'bilateral' });
      expect([body.width, body.height]).toEqual([80, 40]);
      found.push(decodeRle(body.masks[0].rle));
    }
    expect(maskIou(found[0]!, found[1]!)).toBeGreaterThan(0.9);
  });

  it('draws the refined mask as each kind of picture', async () => {
    const query = { method: 'box', box: '60,40,200,180', refine: 'bilateral' };
    const { body } = await masksOf(scene.bytes, query);
    const pixels = decodeRle(body.masks[0].rle);
    for (const picture of ['mask', 'overlay', 'cutout']) {
      const answer = await masksOf(scene.bytes, { ...query, picture }, 'image/png');
      const { data, info } = await sharp(answer.body).raw().toBuffer({ resolveWithObject: true });
      expect([info.width, info.height]).toEqual([331, 247]);
      if (picture === 'overlay') continue;
      const inside = pixels.map((_, at) => (data[at * info.channels + info.channels - 1]! > 127 ? 1 : 0));
      expect(maskIou(inside, pixels)).toBe(1);
    }
  });

  it('names the image in a COCO document by its file or its id', async () => {
    const form = await service.call('POST', '/v1/masks', {
      files: [{ name: 'square.jpg', bytes: scene.bytes }],
      fields: { format: 'coco' },
    });
    expect(form.body.images[0].file_name).toBe('square.jpg');
    await service.call('PUT', '/v1/collections/shapes', { json: {} });
    await service.call('PUT', '/v1/collections/shapes/images/s1', { raw: scene.bytes });
    const stored = await service.call('POST', '/v1/masks', {
      json: { image: { collection: 'shapes', id: 's1' }, format: 'coco' },
    });
    expect(stored.body.images[0].file_name).toBe('s1');
    expect((await masksOf(scene.bytes, { format: 'coco' })).body.images[0].file_name).toBe('');
  });

  const wrong: [name: string, query: Record<string, string | number>, says: RegExp][] = [
    ['a point right of the image', { point: '331,10' }, /331,10.*331 x 247/],
    ['a point above the image', { point: '10,-1' }, /not on the image/],
    ['a point of one number', { point: '10' }, /x,y/],
    ['a point of words', { point: 'here,there' }, /x,y/],
    ['a point of NaN', { point: 'NaN,5' }, /x,y/],
    ['a point of nothing', { point: ',' }, /x,y/],
    ['a box beside the image', { box: '400,10,20,20' }, /beside/],
    ['a box without extent', { box: '10,10,0,20' }, /no extent/],
    ['a box of three numbers', { box: '10,10,20' }, /x,y,width,height/],
    ['a point and a box', { point: '1,1', box: '1,1,5,5' }, /not both/],
    ['the method point without a point', { method: 'point' }, /takes a point/],
    ['the method box without a box', { method: 'box' }, /takes a box/],
    ['a point for another method', { method: 'tokencut', point: '1,1' }, /for the method point/],
    ['a threshold of 2', { threshold: 2 }, /threshold/],
    ['a threshold of NaN', { threshold: 'NaN' }, /threshold/],
    ['a tau of NaN', { method: 'maskcut', tau: 'NaN' }, /tau/],
    ['no objects', { method: 'maskcut', objects: 0 }, /objects/],
    ['half an object', { method: 'maskcut', objects: 1.5 }, /objects/],
    ['too many objects', { method: 'deep-spectral', objects: 11 }, /objects/],
    ['an unknown refinement', { refine: 'crf' }, /refine/],
    ['an unknown format', { format: 'svg' }, /format/],
  ];
  it.each(wrong)('refuses %s with a problem that says what to do', async (_, query, says) => {
    const { status, body } = await masksOf(scene.bytes, query);
    expect(status).toBe(400);
    expect(body.detail).toMatch(says);
  });
});
