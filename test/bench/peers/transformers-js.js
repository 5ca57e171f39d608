/**
 * Embeddings of files by transformers.js, in a process of its own: node transformers-js.js PACKAGES MODEL, with an IPC
 * channel. `{embed: [files]}` is answered with `{vectors}`, `{files, batch, seconds}` with `{rate}`, images per second.
 */
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { pathToFileURL } from 'node:url';

const [packages, model] = process.argv.slice(2);
const entry = createRequire(join(packages, 'package.json')).resolve('@huggingface/transformers');
const { env, pipeline } = await import(pathToFileURL(entry).href);
env.allowRemoteModels = false;
env.localModelPath = dirname(model);
const extract = await pipeline('image-feature-extraction', basename(model), { dtype: 'fp32' });

/** The CLS token of each file. */
async function embed(files) {
  const output = await extract(files);
  const [images, tokens, dimension] = output.dims;
  return Array.from({ length: images }, (_, i) =>
    Array.from(output.data.subarray(i * tokens * dimension, i * tokens * dimension + dimension)),
  );
}

async function measure({ files, batch, seconds }) {
  const end = performance.now() + seconds * 1000;
  const started = performance.now();
  let images = 0;
  while (performance.now() < end) {
    await embed(Array.from({ length: batch }, (_, i) => files[(images + i) % files.length]));
    images += batch;
  }
  return images / ((performance.now() - started) / 1000);
}

process.on('message', async (task) => {
  process.send('embed' in task ? { vectors: await embed(task.embed) } : { rate: await measure(task) });
});
process.on('disconnect', () => process.exit());
process.send({ ready: true });
