import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as draw from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
let good: draw.DrawnScene;
beforeAll(async () => {
  service = await TestService.start();
  good = await draw.drawScene({ className: 'square-on-checks' });
  await service.call('PUT', '/v1/collections/kept', { json: {} });
  await service.call('PUT', '/v1/collections/kept/images/good', {
    raw: good.bytes,
    query: { metadata: '{"class":"square"}' },
  });
});
afterAll(() => service.close());

/** The collection is as it was and the service works. */
async function expectUnharmed(): Promise<void> {
  const { body } = await service.call('GET', '/v1/collections/kept/images');
  expect(body.images.map((image: { id: string }) => image.id)).toEqual(['good']);
  const found = await service.call('POST', '/v1/collections/kept/search', { raw: good.bytes });
  expect(found.body.results).toHaveLength(1);
  expect(found.body.results[0].score).toBeGreaterThan(0.999);
}

const refusedImages: [name: string, make: () => Promise<Buffer> | Buffer, status: number, says: RegExp][] = [
  ['an empty body', draw.emptyFile, 400, /empty/i],
  ['a text file named .jpg', draw.textFile, 415, /JPEG/],
  ['an SVG', draw.svgFile, 415, /SVG/],
  ['a PDF', draw.pdfFile, 415, /JPEG/],
  ['a HEIC photo', draw.heicFile, 415, /HEI[CF]/],
  ['a truncated JPEG', draw.truncatedJpeg, 422, /./],
  ['a corrupt PNG', draw.corruptPng, 422, /./],
  ['a 30,000 x 30,000 PNG', draw.hugePng, 413, /megapixel/i],
  ['a 30,000 x 30,000 JPEG', draw.hugeJpeg, 413, /megapixel/i],
];

describe("an image that can't be used", () => {
  it.each(refusedImages)(
    '%s is refused by every endpoint that takes images, and changes nothing',
    async (_name, make, status, says) => {
      const bytes = await make();
      const calls: ['POST' | 'PUT', string][] = [
        ['POST', '/v1/embeddings'],
        ['POST', '/v1/attention'],
        ['POST', '/v1/masks'],
        ['PUT', '/v1/collections/kept/images/bad'],
        ['POST', '/v1/collections/kept/search'],
        ['POST', '/v1/collections/kept/classify'],
      ];
      for (const [method, path] of calls) {
        const query: Record<string, string> = path.endsWith('classify') ? { field: 'class' } : {};
        const response = await service.call(method, path, { raw: bytes, query });
        expect([path, response.status]).toEqual([path, status]);
        expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
        expect(response.body.detail).toMatch(says);
        expect(response.body.instance).toBe(`urn:dino:request:${response.headers['x-request-id']}`);
      }
      await expectUnharmed();
    },
  );

  it('fails alone in a batch: the others are stored', async () => {
    await service.call('PUT', '/v1/collections/batch', { json: {} });
    const files = [
      { name: 'good.jpg', bytes: good.bytes },
      { name: 'bad.jpg', bytes: draw.textFile() },
      { name: 'dot.png', bytes: await draw.onePixelPng() },
    ];
    const { status, body } = await service.call('POST', '/v1/collections/batch/images', {
      files,
      fields: { items: JSON.stringify([{ id: 'a' }, { id: 'b' }, { id: 'c', metadata: { n: 3 } }]) },
    });
    expect(status).toBe(200);
    expect(body.results.map((result: { status: string }) => result.status)).toEqual([
      'created',
      'failed',
      'created',
    ]);
    expect(body.results[1].error.status).toBe(415);
    const { images } = (await service.call('GET', '/v1/collections/batch/images')).body;
    expect(images.map((image: { id: string }) => image.id)).toEqual(['a', 'c']);
  });
});

const oddImages: [name: string, make: () => Promise<Buffer>, width: number | undefined][] = [
  ['a 1 x 1 PNG', draw.onePixelPng, 1],
  ['a CMYK JPEG', draw.cmykJpeg, undefined],
  ['an EXIF-rotated JPEG', () => draw.exifJpeg(6), undefined],
  ['an animated GIF', draw.animatedGif, undefined],
  ['a 16-bit PNG', draw.sixteenBitPng, undefined],
  ['a grey PNG with alpha', draw.greyAlphaPng, undefined],
  ['a 16-bit grey PNG with alpha', draw.sixteenBitGreyAlphaPng, undefined],
  ['a palette PNG', draw.palettePng, undefined],
];

describe('an image that is odd but good', () => {
  it.each(oddImages)('%s is embedded, masked and stored', async (_name, make) => {
    const bytes = await make();
    const embedding = await service.call('POST', '/v1/embeddings', {
      raw: bytes,
      type: 'application/octet-stream',
    });
    expect(embedding.status).toBe(200);
    const upright = await sharp(bytes).autoOrient().toBuffer({ resolveWithObject: true });
    const mask = await service.call('POST', '/v1/masks', { raw: bytes });
    expect(mask.status).toBe(200);
    expect([mask.body.width, mask.body.height]).toEqual([upright.info.width, upright.info.height]);
    await service.call('PUT', '/v1/collections/odd', { json: {} });
    expect((await service.call('PUT', '/v1/collections/odd/images/it', { raw: bytes })).status).toBeLessThan(
      300,
    );
    const found = await service.call('POST', '/v1/collections/odd/search', { raw: bytes });
    expect(found.body.results[0]).toMatchObject({ id: 'it' });
    expect(found.body.results[0].score).toBeGreaterThan(0.999);
  });

  it('an EXIF-rotated photo gives nearly the features of its upright twin', async () => {
    const cosine = async (bytes: Buffer) =>
      (await service.call('POST', '/v1/embeddings', { raw: bytes })).body.data[0].embedding as number[];
    const [upright, rotated] = [await cosine(await draw.exifJpeg(1)), await cosine(await draw.exifJpeg(6))];
    expect(upright.reduce((sum, value, i) => sum + value * rotated[i]!, 0)).toBeGreaterThan(0.98);
  });
});

describe('a request that is not right', () => {
  const search = '/v1/collections/kept/search';
  const wrong: [name: string, path: string, call: Parameters<TestService['call']>[2], says: RegExp][] = [
    ['k of zero', search, { json: { id: 'good', k: 0 } }, /k/],
    ['k of a thousand and one', search, { json: { id: 'good', k: 1001 } }, /k/],
    ['a fractional k', search, { json: { id: 'good', k: 1.5 } }, /k/],
    ['k as text in JSON', search, { json: { id: 'good', k: '5' } }, /k/],
    ['a word for k in the query', search, { raw: 'x', query: { k: 'many' } }, /k/],
    ['a vector of the wrong length', search, { json: { vector: [1, 2, 3] } }, /3 elements/],
    ['a vector with null in it', search, { json: { vector: [null] } }, /vector/],
    ['a vector of texts', search, { json: { vector: ['1'] } }, /vector/],
    ['a vector with NaN in it', search, { raw: '{"vector":[NaN]}', type: 'application/json' }, /JSON/],
    [
      'a vector with a number beyond float32',
      search,
      { json: { vector: Array.from({ length: 128 }, () => 1e300) } },
      /finite/,
    ],
    ['a vector of zeros', search, { json: { vector: Array.from({ length: 128 }, () => 0) } }, /zero/],
    ['two queries at once', search, { json: { id: 'good', vector: [1] } }, /exactly one/],
    ['no query at all', search, { json: {} }, /exactly one/],
    ['an empty list of examples', search, { json: { positive: [] } }, /positive/],
    ['only negative examples', search, { json: { id: 'good', negative: ['good'] } }, /negative/],
    [
      'a filter with an unknown operator',
      search,
      { json: { id: 'good', filter: { field: 'a', like: 'b' } } },
      /like/,
    ],
    ['a filter without a field', search, { json: { id: 'good', filter: { eq: 1 } } }, /field/],
    ['a filter in the query that is no JSON', search, { raw: 'x', query: { filter: '{' } }, /JSON/],
    ['a minScore above 1', search, { json: { id: 'good', minScore: 2 } }, /minScore/],
    ['JSON that is cut off', search, { raw: '{"id":', type: 'application/json' }, /JSON/],
    ['an unknown field', search, { json: { id: 'good', limit: 3 } }, /limit/],
    ['a URL for an image', search, { json: { image: 'https://example.org/a.jpg' } }, /URL/],
    ['text that is no base64', search, { json: { image: '<svg/>' } }, /base64/],
    ['a data URI without base64', search, { json: { image: 'data:image/jpeg,abc' } }, /data:/],
    ['a threshold above 1', '/v1/masks', { raw: 'x', query: { threshold: 2 } }, /threshold/],
    ['an unknown method', '/v1/masks', { raw: 'x', query: { method: 'magic' } }, /method/],
    [
      'metadata that is nested',
      '/v1/collections/kept/images',
      { json: { images: [{ image: 'AAAA', metadata: { a: { b: 1 } } }] } },
      /metadata/,
    ],
    [
      'items that do not fit the files',
      '/v1/collections/kept/images',
      { files: [{ name: 'a', bytes: Buffer.from('x') }], fields: { items: '[]' } },
      /items/,
    ],
  ];
  it.each(wrong)('%s: 400 that says what to do, and nothing has changed', async (_name, path, call, says) => {
    const { status, body } = await service.call('POST', path, call);
    expect(status).toBe(400);
    expect(body.type).toBe('urn:dino:problem:invalid-request');
    expect(body.detail).toMatch(says);
    await expectUnharmed();
  });

  it('a head that the model does not have is named with those it has', async () => {
    for (const path of ['/v1/masks', '/v1/attention']) {
      const { status, body } = await service.call('POST', path, { raw: good.bytes, query: { head: 99 } });
      expect(status).toBe(400);
      expect(body.detail).toMatch(/99.*has \d+/);
    }
  });

  it('a rollout of one head is refused: it is of all', async () => {
    const query = { rollout: true, head: 0 };
    const { status, body } = await service.call('POST', '/v1/attention', { raw: good.bytes, query });
    expect([status, body.detail]).toEqual([400, expect.stringMatching(/leave out head/)]);
  });

  it('a collection or an image that is not there is 404 by name', async () => {
    for (const [method, path] of [
      ['GET', '/v1/collections/nowhere'],
      ['DELETE', '/v1/collections/nowhere'],
      ['GET', '/v1/collections/nowhere/images'],
      ['PUT', '/v1/collections/nowhere/images/x'],
      ['POST', '/v1/collections/nowhere/search'],
    ] as const) {
      const call = method === 'PUT' || method === 'POST' ? { raw: good.bytes } : {};
      const { status, body } = await service.call(method, path, call);
      expect([method, path, status]).toEqual([method, path, 404]);
      expect(body.detail).toContain('nowhere');
    }
    for (const path of ['', '/content', '/thumbnail']) {
      const { status, body } = await service.call('GET', `/v1/collections/kept/images/missing${path}`);
      expect(status).toBe(404);
      expect(body.detail).toContain('missing');
    }
  });

  it('a body of another type is 415', async () => {
    const { status, body } = await service.call('POST', '/v1/embeddings', {
      raw: 'a=b',
      type: 'application/x-www-form-urlencoded',
    });
    expect(status).toBe(415);
    expect(body.detail).toContain('application/x-www-form-urlencoded');
  });

  it('a broken multipart form is 400', async () => {
    const { status, body } = await service.call('POST', '/v1/embeddings', {
      raw: '--x\r\nnonsense',
      type: 'multipart/form-data; boundary=x',
    });
    expect(status).toBe(400);
    expect(body.detail).toMatch(/form/i);
  });

  it('more images than a request may have are 413', async () => {
    const files = Array.from({ length: 65 }, (_, i) => ({ name: `${i}.jpg`, bytes: Buffer.from('x') }));
    expect((await service.call('POST', '/v1/collections/kept/images', { files })).status).toBe(413);
    const images = files.map(() => ({ image: 'AAAA' }));
    expect((await service.call('POST', '/v1/collections/kept/images', { json: { images } })).status).toBe(
      413,
    );
    await expectUnharmed();
  });
});

describe('limits that are configured', () => {
  it('an image or a body over its limit is 413', async () => {
    const small = await TestService.start({
      maxImageBytes: 2048,
      maxBodyBytes: 8192,
      maxImagePixels: 10_000,
    });
    try {
      const raw = await small.call('POST', '/v1/embeddings', { raw: Buffer.alloc(4000) });
      const json = await small.call('POST', '/v1/embeddings', {
        json: { input: Buffer.alloc(4000).toString('base64') },
      });
      const form = await small.call('POST', '/v1/embeddings', {
        files: [{ name: 'a', bytes: Buffer.alloc(4000) }],
      });
      const body = await small.call('POST', '/v1/embeddings', {
        json: { input: Buffer.alloc(9000).toString('base64') },
      });
      for (const { status, body: problem } of [raw, json, form, body]) {
        expect(status).toBe(413);
        expect(problem.type).toBe('urn:dino:problem:payload-too-large');
      }
      const flat = await sharp({ create: { width: 200, height: 200, channels: 3, background: 'red' } })
        .png()
        .toBuffer();
      expect((await small.call('POST', '/v1/embeddings', { raw: flat })).status).toBe(413);
    } finally {
      await small.close();
    }
  });
});
