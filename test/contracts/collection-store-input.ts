import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Metadata } from '#dino/collections/filter.js';
import { everything, image, newCollection } from './collection-fixtures.js';
import type { OpenStore, StoreUnderTest } from './collection-fixtures.js';

const EAST = [1, 0, 0, 0];

/** Bad input gets a clear error and changes nothing; odd input that is good is kept as it is. */
export function describeInput(openStore: OpenStore): void {
  describe('input', () => {
    let under: StoreUnderTest;
    let full: string;
    beforeAll(async () => {
      under = await openStore();
      full = await newCollection(under);
      await under.store.putImages(full, [image('there', EAST, { metadata: { a: 1 } })]);
    });
    afterAll(() => under.dispose());

    /** Expects the call to be refused, and the collection to be as before. */
    async function expectRefused(call: () => Promise<unknown>, about: string | RegExp): Promise<void> {
      const before = await everything(under.store, full);
      await expect(call()).rejects.toMatchObject({
        name: 'DinoError',
        code: 'invalid-request',
        message: expect.stringMatching(about),
      });
      expect(await everything(under.store, full)).toEqual(before);
    }

    const vectors: [string, unknown, RegExp][] = [
      ['too short', new Float32Array(3).fill(1), /3 elements.*4/],
      ['too long', new Float32Array(5).fill(1), /5 elements.*4/],
      ['empty', new Float32Array(0), /0 elements/],
      ['with NaN', new Float32Array([1, NaN, 0, 0]), /index 1: NaN/],
      ['with infinity', new Float32Array([1, 0, 0, -Infinity]), /index 3: -Infinity/],
      ['all zero', new Float32Array(4), /all zeros/],
      ['a list with null', [1, null, 0, 0], /Float32Array/],
      ['null', null, /Float32Array/],
      ['of doubles', new Float64Array([1, 0, 0, 0]), /Float32Array/],
    ];
    it.each(vectors)(
      'refuses a batch whose last vector is %s, and stores none of it',
      async (_, vector, about) => {
        const good = image('there', [0, 1, 0, 0]);
        const bad = { ...image('bad', EAST), vector: vector as Float32Array };
        await expectRefused(() => under.store.putImages(full, [good, image('new', EAST), bad]), about);
      },
    );

    it.each(vectors)('refuses to search with a vector that is %s', async (_, vector, about) => {
      for (const exact of [true, false]) {
        await expectRefused(
          () => under.store.search(full, { vector: vector as Float32Array, k: 1, exact }),
          about,
        );
      }
    });

    it('stores vectors of any length but zero as unit vectors', async () => {
      const name = await newCollection(under);
      await under.store.putImages(name, [
        image('tiny', [1e-40, 0, 0, 0]),
        image('huge', [0, 3e38, 0, -3e38]),
      ]);
      const [tiny, huge] = await under.store.getVectors(name, ['tiny', 'huge']);
      expect([...tiny!]).toEqual(EAST);
      expect([...huge!]).toEqual([0, Math.SQRT1_2, 0, -Math.SQRT1_2].map(Math.fround));
    });

    it('refuses an id that is there twice in one call', async () => {
      await expectRefused(
        () => under.store.putImages(full, [image('x', EAST), image('there', [0, 1, 0, 0]), image('x', EAST)]),
        /"x".*twice/,
      );
    });

    const ids = [
      'a/b/../c',
      '/',
      '%2F',
      'größe.jpg',
      '日本語',
      '😀',
      ' ',
      '"\'`',
      '...',
      '__proto__',
      '𝟘'.repeat(512),
      '￿',
    ];
    it('keeps ids of any Unicode as they are', async () => {
      const name = await newCollection(under);
      await under.store.putImages(
        name,
        ids.map((id) => image(id, EAST)),
      );
      for (const id of ids) {
        expect((await under.store.getImage(name, id)).id).toBe(id);
        await under.store.deleteImage(name, id);
        await expect(under.store.getImage(name, id)).rejects.toMatchObject({ code: 'not-found' });
      }
    });

    it.each([
      '',
      '.',
      '..',
      'x'.repeat(513),
      'a\0b',
      'a\nb',
      '\u0085',
      'half \ud83d',
      '\udc00',
      7,
      null,
      undefined,
    ])('refuses the id %j', async (value) => {
      const id = value as string;
      const { store } = under;
      for (const call of [
        () => store.putImages(full, [image('fine', EAST), { ...image('x', EAST), id }]),
        () => store.getImage(full, id),
        () => store.findImages(full, ['there', id]),
        () => store.getContent(full, id),
        () => store.getThumbnail(full, id),
        () => store.getVectors(full, [id]),
        () => store.patchMetadata(full, id, { a: 2 }),
        () => store.deleteImage(full, id),
      ]) {
        await expectRefused(call, /id/);
      }
    });

    const fields: Record<string, unknown>[] = [
      { contentHash: 'abc' },
      { contentHash: 'A'.repeat(64) },
      { mediaType: 'jpeg' },
      { mediaType: undefined },
      { width: 0 },
      { height: 1.5 },
      { height: '480' },
      { content: new Uint8Array(0) },
      { content: 'text' },
      { thumbnail: null },
    ];
    it.each(fields)('refuses an image with %o', async (overrides) => {
      const [field] = Object.keys(overrides);
      const bad = { ...image('bad', EAST), ...overrides };
      await expectRefused(() => under.store.putImages(full, [image('fine', EAST), bad]), field!);
    });

    const metadata: [string, Metadata][] = [
      ['nothing', {}],
      [
        'every type',
        { text: 'x', number: -0.5, yes: true, no: false, texts: ['a', ''], numbers: [1, 2.5], none: [] },
      ],
      ['64 fields', Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`field ${i}`, i]))],
      ['a list of 256', { list: Array.from({ length: 256 }, (_, i) => i) }],
      ['almost 16 KiB', { text: 'x'.repeat(16 * 1024 - '{"text":""}'.length) }],
      [
        'names that need care',
        Object.fromEntries(
          ['__proto__', 'constructor', '$.a[0]', '"', '\\', '😀'.repeat(100)].map((f) => [f, f]),
        ),
      ],
      ['texts that need care', { nul: 'a\0b', line: '\u2028', emoji: '😀', quote: '"\\', null: 'null' }],
      ['extreme numbers', { big: 1.7976931348623157e308, small: 5e-324, third: 1 / 3, integer: 2 ** 60 }],
    ];
    it.each(metadata)('keeps metadata of %s as it is', async (_, given) => {
      const name = await newCollection(under);
      await under.store.putImages(name, [image('put', EAST, { metadata: given }), image('patched', EAST)]);
      await under.store.patchMetadata(name, 'patched', given);
      for (const id of ['put', 'patched']) {
        const stored = (await under.store.getImage(name, id)).metadata;
        expect(Object.entries(stored)).toEqual(Object.entries(given));
      }
      const [hit] = await under.store.search(name, { vector: new Float32Array(EAST), k: 1 });
      expect(Object.entries(hit!.metadata)).toEqual(Object.entries(given));
    });

    const refused: [string, unknown, RegExp][] = [
      ['a list', [1], /object/],
      ['a text', 'x', /object/],
      ['a date', new Date(0), /object/],
      ['a nested object', { deep: { a: 1 } }, /"deep"/],
      ['undefined', { nothing: undefined }, /"nothing"/],
      ['NaN', { number: NaN }, /"number"/],
      ['infinity', { number: -Infinity }, /"number"/],
      ['a big integer', { number: 1n }, /"number"/],
      ['a function', { call: () => 1 }, /"call"/],
      ['a mixed list', { list: [1, 'a'] }, /"list"/],
      ['a list of booleans', { list: [true] }, /"list"/],
      ['a list with null', { list: ['a', null] }, /"list"/],
      ['a list with a hole', { list: new Array<string>(2) }, /"list"/],
      ['a list with NaN', { list: [1, NaN] }, /"list"/],
      ['a list of 257', { list: new Array(257).fill(1) }, /"list".*257/],
      ['65 fields', Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`f${i}`, i])), /64 fields/],
      ['more than 16 KiB', { text: 'ü'.repeat(8 * 1024) }, /16384 bytes/],
      ['a nameless field', { '': 1 }, /name/],
      ['a name of 101 characters', { ['x'.repeat(101)]: 1 }, /name/],
      ['a name with a control character', { 'a\tb': 1 }, /name/],
      ['half a surrogate pair', { text: 'x\ud83d' }, /Unicode/],
      ['half a surrogate pair in a list', { text: ['x\ud83d'] }, /Unicode/],
    ];
    it.each([
      ['null', null, /object/] as const,
      ['a field of null', { a: null }, /"a"/] as const,
      ...refused,
    ])('refuses to store metadata that is or has %s', async (_, value, about) => {
      const bad = { ...image('bad', EAST), metadata: value as Metadata };
      await expectRefused(() => under.store.putImages(full, [image('fine', EAST), bad]), about);
    });
    it.each(refused)('refuses to patch with metadata that is or has %s', async (_, value, about) => {
      await expectRefused(() => under.store.patchMetadata(full, 'there', value as Metadata), about);
    });

    it('refuses a patch whose result would be beyond the limits', async () => {
      const many = Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`f${i}`, i]));
      await expectRefused(() => under.store.patchMetadata(full, 'there', many), /64 fields.*65/);
      const long = { text: 'x'.repeat(16 * 1024 - '{"text":""}'.length) };
      await expectRefused(() => under.store.patchMetadata(full, 'there', long), /16384 bytes/);
    });

    const queries: [Record<string, unknown>, RegExp][] = [
      [{ k: 0 }, /k must/],
      [{ k: 1001 }, /k must/],
      [{ k: 1.5 }, /k must/],
      [{ k: NaN }, /k must/],
      [{ k: '1' }, /k must/],
      [{ ef: 0 }, /ef must/],
      [{ ef: 4097 }, /ef must/],
      [{ exact: 'yes' }, /exact must/],
      [{ minScore: 1.01 }, /minScore must/],
      [{ minScore: NaN }, /minScore must/],
      [{ minScore: null }, /minScore must/],
      [{ excludeIds: 'there' }, /excludeIds/],
      [{ excludeIds: [1] }, /excludeIds/],
      [{ excludeIds: new Array(10_001).fill('x') }, /excludeIds/],
      [{ filter: { field: 'a' } }, /filter/],
    ];
    it.each(queries)('refuses a search with %o', async (overrides, about) => {
      const query = { vector: new Float32Array(EAST), k: 1, ...overrides };
      await expectRefused(() => under.store.search(full, query), about);
    });
  });
}
