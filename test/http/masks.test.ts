import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeRle } from '#dino/segmentation/rle.js';
import { drawScene, type DrawnScene } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

let service: TestService;
let scene: DrawnScene;
beforeAll(async () => {
  service = await TestService.start();
  scene = await drawScene({ className: 'square-on-checks', width: 331, height: 247 });
});
afterAll(() => service.close());

describe('POST /v1/masks', () => {
  it('takes the same options as JSON, form and query', async () => {
    const image = `data:image/jpeg;base64,${scene.bytes.toString('base64')}`;
    const json = await service.call('POST', '/v1/masks', { json: { image, head: 1, threshold: 0.4 } });
    const form = await service.call('POST', '/v1/masks', {
      files: [{ name: 'a.jpg', bytes: scene.bytes }],
      fields: { head: '1', threshold: '0.4' },
    });
    const query = await service.call('POST', '/v1/masks', {
      raw: scene.bytes,
      query: { head: 1, threshold: 0.4 },
    });
    expect(json.body.masks[0].head).toBe(1);
    expect(form.body).toEqual(json.body);
    expect(query.body).toEqual(json.body);
  });

  it('has a mask per head for all, and one for a union that holds each of them', async () => {
    const { heads } = (await service.call('GET', '/v1/models')).body.data[0];
    const all = await service.call('POST', '/v1/masks', { raw: scene.bytes, query: { head: 'all' } });
    expect(all.body.masks.map((mask: { head: number }) => mask.head).sort()).toEqual([
      ...Array(heads).keys(),
    ]);
    const union = await service.call('POST', '/v1/masks', { raw: scene.bytes, query: { head: 'union' } });
    const whole = decodeRle(union.body.masks[0].rle);
    for (const mask of all.body.masks) {
      const part = decodeRle(mask.rle);
      expect(part.every((value, i) => value <= whole[i]!)).toBe(true);
    }
  });

  it('keeps more with a higher threshold, nothing with 0 and all with 1', async () => {
    const area = async (threshold: number) => {
      const { body } = await service.call('POST', '/v1/masks', {
        raw: scene.bytes,
        query: { threshold, head: 0 },
      });
      return body.masks[0]?.area ?? 0;
    };
    expect(await area(0)).toBe(0);
    expect(await area(1)).toBe(331 * 247);
    const areas = [await area(0.3), await area(0.6), await area(0.9)];
    expect(areas).toEqual([...areas].sort((a, b) => a - b));
    expect(new Set(areas).size).toBe(3);
  });

  it('answers Accept: image/png with the picture alone', async () => {
    for (const [picture, channels] of [
      ['mask', 1],
      ['overlay', 3],
      ['cutout', 4],
    ] as const) {
      const { status, headers, body } = await service.call('POST', '/v1/masks', {
        raw: scene.bytes,
        query: { picture },
        accept: 'image/png',
      });
      expect(status).toBe(200);
      expect(headers['content-type']).toBe('image/png');
      expect(Number(headers['content-length'])).toBe(body.length);
      const metadata = await sharp(body).metadata();
      expect([metadata.width, metadata.height]).toEqual([331, 247]);
      expect(metadata.channels).toBeGreaterThanOrEqual(channels);
      if (picture === 'cutout') expect(metadata.hasAlpha).toBe(true);
    }
  });
});

describe('POST /v1/attention', () => {
  it('has a row per head whose grid follows the aspect ratio, and sums to less than one', async () => {
    const { status, body } = await service.call('POST', '/v1/attention', {
      raw: scene.bytes,
      query: { size: 320 },
    });
    expect(status).toBe(200);
    expect(body.grid).toEqual({ width: 20, height: 15 });
    expect(body.attention).toHaveLength(body.heads);
    for (const row of body.attention) {
      expect(row).toHaveLength(300);
      const sum = row.reduce((total: number, value: number) => total + value, 0);
      expect(sum).toBeGreaterThan(0.5);
      expect(sum).toBeLessThan(1);
    }
    const one = await service.call('POST', '/v1/attention', {
      raw: scene.bytes,
      query: { size: 320, head: 2 },
    });
    expect(one.body.attention).toEqual([body.attention[2]]);
  });

  it('draws one head, one over the image, and all heads side by side', async () => {
    const { heads } = (await service.call('GET', '/v1/models')).body.data[0];
    const size = async (query: Record<string, string | number | boolean>) => {
      const { headers, body } = await service.call('POST', '/v1/attention', {
        raw: scene.bytes,
        query,
        accept: 'image/png',
      });
      expect(headers['content-type']).toBe('image/png');
      const { width, height } = await sharp(body).metadata();
      return { width, height, body: body as Buffer };
    };
    const map = await size({ head: 0 });
    const overlay = await size({ head: 0, overlay: true });
    expect([map.width, map.height, overlay.width, overlay.height]).toEqual([331, 247, 331, 247]);
    expect(Buffer.compare(map.body, overlay.body)).not.toBe(0);
    const strip = await size({});
    expect(strip.width).toBeGreaterThanOrEqual(heads * 331);
    expect(strip.height).toBe(247);
  });

  it('gives one map of all blocks as a rollout: as numbers, as base64, as a picture, each request the same', async () => {
    const ask = (query: object, accept?: string) =>
      service.call('POST', '/v1/attention', {
        raw: scene.bytes,
        query: { size: 320, rollout: true, ...query },
        accept,
      });
    const [first, second, text, map, overlay] = await Promise.all([
      ask({}),
      ask({}),
      ask({ encoding_format: 'base64' }),
      ask({}, 'image/png'),
      ask({ overlay: true }, 'image/png'),
    ]);
    const [row, ...more] = first.body.attention as number[][];
    expect([first.status, more, row!.length]).toEqual([200, [], 300]);
    const { data } = (await service.call('GET', '/v1/models')).body;
    expect([first.body.heads, first.body.grid]).toEqual([data[0].heads, { width: 20, height: 15 }]);
    expect(second.body.attention).toEqual(first.body.attention);
    expect(Math.min(...row!)).toBeGreaterThan(0);
    expect(row!.reduce((sum, value) => sum + value, 0)).toBeLessThan(1);
    const bytes = Buffer.from(text.body.attention[0], 'base64');
    expect(Array.from(new Float32Array(bytes.buffer, bytes.byteOffset, 300))).toEqual(row!.map(Math.fround));
    for (const { body } of [map, overlay]) {
      const { format, width, height } = await sharp(body).metadata();
      expect([format, width, height]).toEqual(['png', 331, 247]);
    }
    expect(Buffer.compare(map.body, overlay.body)).not.toBe(0);
    const last = await service.call('POST', '/v1/attention', { raw: scene.bytes, query: { size: 320 } });
    for (const head of last.body.attention) expect(head).not.toEqual(row);
  });
});
