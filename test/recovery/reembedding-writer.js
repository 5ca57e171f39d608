// Re-embeds a collection while it is written to, until it is killed; says what the store has acknowledged:
// node reembedding-writer.js <data folder> <round>
import { createHash } from 'node:crypto';
import { Buffer } from 'node:buffer';
import process from 'node:process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';

/** Stored while the collection is re-embedded once. */
const IMAGES = 15;
const [dataDir, round] = process.argv.slice(2);
const store = await EmbeddedCollectionStore.open({ dataDir, exactBelow: 1, saveGraphEvery: 40 });

function say(event, fields) {
  // Synchronous on a pipe, so that it has left the process before anything else happens.
  process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');
}

/** What a model makes of an image: everything follows from the two names. */
function vectorOf(model, id, dimension) {
  const digest = createHash('sha512').update(`${model} ${id}`).digest();
  return Float32Array.from({ length: dimension }, (_, i) => digest.readInt32LE(4 * i));
}

async function put(id) {
  const { model, modelFingerprint, dimension } = await store.getCollection('c');
  const image = {
    id,
    metadata: {},
    contentHash: createHash('sha256').update(id).digest('hex'),
    mediaType: 'image/png',
    width: 1,
    height: 1,
    content: Buffer.from(id),
    thumbnail: Buffer.from(id),
    vector: vectorOf(model, id, dimension),
    modelFingerprint,
  };
  // The model may have been swapped in between; then the vector is made anew.
  await store.putImages('c', [image]).then(
    () => say('put', { id }),
    (error) => {
      if (error.code !== 'conflict') throw error;
    },
  );
}

let written = 0;

async function write(images) {
  for (let i = 0; i < images; i++) await put(`${round}/${written++}`);
}

/** From one model to the other and back, for ever. */
async function reembed() {
  for (;;) {
    const { model } = await store.getCollection('c');
    const next = model === 'one' ? { model: 'two', dimension: 12 } : { model: 'one', dimension: 8 };
    const modelFingerprint = createHash('sha256').update(next.model).digest('hex');
    const { done } = await store.beginReembedding('c', { ...next, modelFingerprint });
    say('begun', { done });
    const writing = write(IMAGES);
    for (let after; ;) {
      const pending = await store.listPending('c', { after, limit: 20 });
      if (pending.length === 0) {
        const { state } = await store.finishReembedding('c', { dropMissing: false });
        if (state === 'swapped') break;
        await nextTurn();
        continue;
      }
      const vectors = pending.map((image) => ({
        ...image,
        vector: vectorOf(next.model, image.id, next.dimension),
      }));
      await store.putNextVectors('c', vectors);
      say('made', { count: vectors.length });
      after = pending.at(-1).version;
    }
    say('swapped', { model: next.model });
    await writing;
  }
}

await reembed();
