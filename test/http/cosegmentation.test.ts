import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';
import { installTiny } from '../support/installed-models.js';

type Found = Record<string, unknown>;

let service: TestService;
let files: { name: string; bytes: Uint8Array }[];
beforeAll(async () => {
  service = await TestService.start();
  const scenes = await Promise.all(
    [1, 2, 3].map((seed) =>
      drawScene({ className: 'ring-on-noise', seed, width: 160 + 16 * seed, height: 128 }),
    ),
  );
  files = scenes.map(({ bytes }, index) => ({ name: `ring-${index}.jpg`, bytes }));
});
afterAll(() => service.close());

const ask = (query: Record<string, string | number>, more = files) =>
  service.call('POST', '/v1/cosegmentation', { files: more, query: { size: 128, ...query } });

describe('POST /v1/cosegmentation', () => {
  it('gives a mask per image at its own size, the same for files and for JSON', async () => {
    const { status, body } = await ask({ saliency: 0 });
    expect(status).toBe(200);
    expect(body.images.map((image: Found) => [image.width, image.height])).toEqual([
      [176, 128],
      [192, 128],
      [208, 128],
    ]);
    expect(body.clusters).toBeGreaterThanOrEqual(2);
    for (const { width, height, masks } of body.images) {
      const [mask] = masks;
      expect(mask.rle.size).toEqual([height, width]);
      expect(mask.area).toBeGreaterThan(0);
      expect(mask.area).toBeLessThanOrEqual(width * height);
      expect(mask.head).toBeNull();
    }
    const images = files.map(({ bytes }) => Buffer.from(bytes).toString('base64'));
    const json = await service.call('POST', '/v1/cosegmentation', {
      json: { images, size: 128, saliency: 0 },
    });
    expect(json.body).toEqual(body);
  });

  it('writes masks as polygons, pictures and as one COCO file', async () => {
    const rle = (await ask({ saliency: 0 })).body;
    const polygon = (await ask({ saliency: 0, format: 'polygon' })).body;
    expect(polygon.images[0].masks[0].area).toBe(rle.images[0].masks[0].area);
    expect(polygon.images[0].masks[0].polygon[0].length).toBeGreaterThanOrEqual(8);
    for (const [picture, channels] of [
      ['mask', 1],
      ['cutout', 4],
    ] as const) {
      const { body } = await ask({ saliency: 0, format: 'png', picture });
      const [, data] = body.images[1].masks[0].png.split(',');
      const metadata = await sharp(Buffer.from(data, 'base64')).metadata();
      expect([metadata.format, metadata.width, metadata.height]).toEqual(['png', 192, 128]);
      expect(metadata.channels).toBeGreaterThanOrEqual(channels);
    }
    const coco = (await ask({ saliency: 0, format: 'coco' })).body;
    expect(coco.images.map((image: Found) => [image.id, image.file_name])).toEqual([
      [1, 'ring-0.jpg'],
      [2, 'ring-1.jpg'],
      [3, 'ring-2.jpg'],
    ]);
    expect(coco.annotations.map((annotation: Found) => [annotation.id, annotation.image_id])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
    expect(coco.annotations[2].segmentation).toEqual(rle.images[2].masks[0].rle);
  });

  it('refines edges to pixels', async () => {
    const { body } = await ask({ saliency: 0, refine: 'bilateral' });
    for (const { masks } of body.images) for (const { reason } of masks) expect(reason).toMatch(/efined/);
  });

  it('finds nothing in blank images, which is no error', async () => {
    const blank = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#777' } })
      .png()
      .toBuffer();
    const pair = [1, 2].map((at) => ({ name: `${at}.png`, bytes: blank }));
    const { status, body } = await ask({ saliency: 1 }, pair);
    expect([status, body.images.map((image: Found) => image.masks)]).toEqual([200, [[], []]]);
  });

  it('takes a strip, an image smaller than a patch and one pixel', async () => {
    const odd = await Promise.all(
      [
        [1000, 10],
        [5, 3],
        [1, 1],
      ].map(async ([width, height]) => ({
        name: `${width}.png`,
        bytes: await sharp({ create: { width: width!, height: height!, channels: 3, background: '#a33' } })
          .png()
          .toBuffer(),
      })),
    );
    const { status, body } = await ask({}, [...odd, files[0]!]);
    expect([status, body.images.length]).toEqual([200, 4]);
  });

  it.each([
    ['one image', { files: 1 }, {}, /2 to 16 images, not 1/],
    ['seventeen images', { files: 17 }, {}, /2 to 16 images, not 17/],
    ['votes above 1', { files: 2 }, { votes: 2 }, /votes/],
    ['an elbow that is no number', { files: 2 }, { elbow: 'NaN' }, /elbow/],
    ['a saliency below 0', { files: 2 }, { saliency: -1 }, /saliency/],
    ['one cluster', { files: 2 }, { clusters: 1 }, /clusters/],
    ['an unknown form', { files: 2 }, { format: 'svg' }, /format/],
    ['an unknown option', { files: 2 }, { tau: 0.2 }, /tau/],
  ] as const)('%s: 400 that says what to do', async (_name, given, query, says) => {
    const some = Array.from({ length: given.files }, (_, index) => files[index % files.length]!);
    const { status, body } = await ask(query, some);
    expect([status, body.type]).toEqual([400, 'urn:dino:problem:invalid-request']);
    expect(body.detail).toMatch(says);
  });

  it('names the image that is none, the model that is not there and what a model lacks', async () => {
    const broken = await ask({}, [files[0]!, { name: 'notes.jpg', bytes: Buffer.from('no picture') }]);
    expect(broken.status).toBe(415);
    expect((await ask({ model: 'nobody' })).status).toBe(404);
    await installTiny(service.dataDir, 'conv', 'resnet.pth');
    const { status, body } = await ask({ model: 'conv' });
    expect([status, body.detail]).toEqual([400, expect.stringMatching(/has no attention keys/)]);
  });
});
