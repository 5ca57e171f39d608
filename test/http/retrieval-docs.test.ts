import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScenes } from '../support/drawn-scenes.js';
import { TestService } from '../support/test-service.js';

const page = await readFile(new URL('../../docs/retrieval.md', import.meta.url), 'utf8');
const [, searching] = page.split('\n## Searching\n');
const examples = [
  ...searching!.split('\n## ')[0]!.matchAll(/^curl -s (-X PUT )?'?http:\/\/127\.0\.0\.1:8080(.*)$/gm),
].map(([, put = '', rest]) => put + rest!);

let service: TestService;
let cat: Buffer;
beforeAll(async () => {
  service = await TestService.start();
  const scenes = await drawScenes({ perClass: 1, width: 64, height: 64 });
  cat = scenes[0]!.bytes;
  await service.call('PUT', '/v1/collections/photos', { json: {} });
  for (const [i, id] of ['cat.jpg', 'dog.jpg', 'other.jpg'].entries()) {
    const metadata = JSON.stringify({ class: id.slice(0, 3), tags: ['red'], taken: '2024-06-01' });
    const path = `/v1/collections/photos/images/${id}`;
    expect((await service.call('PUT', path, { raw: scenes[i]!.bytes, query: { metadata } })).status).toBe(
      201,
    );
  }
});
afterAll(() => service.close());

describe('the examples of docs/retrieval.md on searching', () => {
  it('are there', () => expect(examples.length).toBeGreaterThanOrEqual(14));

  it.each(examples)('%s', async (example) => {
    const target = /^(?:-X PUT )?([^' ]+)/.exec(example)![1]!;
    const { pathname, search, searchParams } = new URL(target, 'http://127.0.0.1');
    expect(search.length + pathname.length).toBe(target.length);
    const query = Object.fromEntries(searchParams);
    const json = / -d '(.*)'$/.exec(example)?.[1];
    const fields = [...example.matchAll(/ -F (\w+)=([^@\s]+)/g)].map(
      ([, name, value]) => [name!, value!] as const,
    );
    if (example.startsWith('-X PUT ')) {
      const { status } = await service.call('PUT', pathname, { raw: cat, query });
      expect(status).toBe(200);
      return;
    }
    const call =
      json !== undefined
        ? { json: JSON.parse(json) as unknown }
        : example.includes('-F image=@')
          ? { files: [{ name: 'cat.jpg', bytes: cat }], fields: Object.fromEntries(fields) }
          : { query };
    const isGet = json === undefined && !example.includes(' -F ');
    const { status, body } = await service.call(isGet ? 'GET' : 'POST', pathname, call);
    expect([status, body.detail]).toEqual([pathname.endsWith('/duplicates') ? 202 : 200, undefined]);
  });
});
