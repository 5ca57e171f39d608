import { embeddingCalls } from './bench-server.js';
import type { LoadClient } from './load.js';
import { asNewFile } from './photos.js';

/** One that sends its next request when the one before is answered. */
export interface Worker {
  readonly kind: string;
  /** ms of each request so far. */
  readonly times: number[];
  work(): Promise<unknown>;
}

const COLLECTION = 'soak';
/** Images that the collection holds: each new one takes the place of the one stored so many before. */
const HELD = 200;
/** Of the connections, the rest embeds. */
const SHARES = { search: 0.2, masks: 0.1, 'store and delete': 0.2 };

/** Makes a collection with a first image in it, and as many workers as connections. */
export async function createWorkers(
  client: LoadClient,
  photos: readonly Buffer[],
  connections: number,
): Promise<Worker[]> {
  const path = `/v1/collections/${COLLECTION}`;
  let stored = 0;
  let next = 0;
  const photo = (): Buffer => asNewFile(photos[next++ % photos.length]!);
  const json = (value: object) => ({ type: 'application/json', body: Buffer.from(JSON.stringify(value)) });
  const put = (id: string) =>
    client.send({ method: 'PUT', path: `${path}/images/${id}`, type: 'image/jpeg', body: photo() });
  await client.send({ method: 'PUT', path, ...json({}) });
  await put('always');

  const embed = embeddingCalls(photos);
  const work: Record<string, () => Promise<unknown>> = {
    search: () => client.send({ method: 'POST', path: `${path}/search`, ...json({ id: 'always', k: 10 }) }),
    masks: () => client.send({ method: 'POST', path: '/v1/masks', type: 'image/jpeg', body: photo() }),
    async 'store and delete'() {
      const number = stored++;
      await put(`photo-${number}`);
      if (number < HELD) return;
      // Stored so long ago that its own request is answered, whichever worker sent it.
      await client.send({ method: 'DELETE', path: `${path}/images/photo-${number - HELD}` });
    },
    embed: () => client.send(embed()),
  };
  const kinds = Object.entries(SHARES).flatMap(([kind, share]) =>
    Array.from({ length: Math.max(1, Math.round(share * connections)) }, () => kind),
  );
  while (kinds.length < connections) kinds.push('embed');
  return kinds.map((kind) => ({ kind, times: [], work: work[kind]! }));
}
