// Writes to a store until it is killed, and says on standard output what it is about to do and what
// the store has acknowledged: node store-writer.js <data folder> <round>
import { createHash } from 'node:crypto';
import { Buffer } from 'node:buffer';
import process from 'node:process';
import { EmbeddedCollectionStore } from '#dino/collections/embedded/embedded-collection-store.js';

const [dataDir, round] = process.argv.slice(2);
const LANES = 8;
// Originals are files in every second round.
const contentFilesFrom = Number(round) % 2 === 0 ? 0 : 1e9;
const store = await EmbeddedCollectionStore.open({
  dataDir,
  exactBelow: 1,
  saveGraphEvery: 40,
  contentFilesFrom,
});

function say(event, id, version) {
  // Synchronous on a pipe, so that it has left the process before anything else happens.
  process.stdout.write(JSON.stringify({ event, id, version }) + '\n');
}

/** Everything about a version follows from its name; the vector is in the metadata too, for checking. */
function imageOf(id, version) {
  const digest = createHash('sha512').update(version).digest();
  const vector = Array.from({ length: 16 }, (_, i) => digest.readInt32LE(4 * i));
  return {
    id,
    metadata: { version, vector },
    contentHash: createHash('sha256').update(version.repeat(200)).digest('hex'),
    mediaType: 'image/png',
    width: 1,
    height: 1,
    content: Buffer.from(version.repeat(200)),
    thumbnail: Buffer.from(version),
    vector: Float32Array.from(vector),
    objects: {
      method: 'lost',
      max: 1,
      found: [{ bbox: [0, 0, 1, 1], score: 1, vector: Float32Array.from(vector.toReversed()) }],
    },
  };
}

async function put(ids, version) {
  const versions = ids.map((id) => `${id} ${version}`);
  ids.forEach((id, i) => say('putting', id, versions[i]));
  await store.putImages(
    'c',
    ids.map((id, i) => imageOf(id, versions[i])),
  );
  ids.forEach((id, i) => say('put', id, versions[i]));
}

async function remove(id) {
  say('deleting', id, null);
  await store.deleteImage('c', id);
  say('deleted', id, null);
}

/** Works on ids of its own, one operation at a time; the lanes run side by side. */
async function runLane(lane) {
  for (let step = 0; ; step++) {
    const ids = [0, 1, 2].map((i) => `${round}/${lane}/${step}-${i}`);
    await put(ids, 'first');
    await put([ids[0]], 'second');
    await remove(ids[1]);
    if (step % 2 === 0) await put([ids[1]], 'third');
  }
}

await Promise.all(Array.from({ length: LANES }, (_, lane) => runLane(lane)));
