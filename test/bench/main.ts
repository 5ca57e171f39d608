/**
 * Benchmarks, run by hand: `npm run bench -- VERB [options]`. They print what they measure and gate nothing.
 */
const VERBS = {
  embed:
    'JPEG over HTTP to embedding, beside ONNX Runtime alone on ready tensors, and the event loop under that load',
  index:
    'collections of 10,000 vectors and more: building, search, recall, memory and start-up, beside hnswlib for Python',
  masks: 'masks against the pixel masks of ECSSD, for every head and way of choosing one',
  snapshots: 'how long a snapshot takes, and how long reads wait meanwhile',
  stalls: 'how long the event loop stands still under masks, attention and correspondences',
  writes: 'writes per second to the store, one by one and sharing commits, at 1, 8 and 64 writers',
  search:
    'recall under filters of every selectivity, and searches over HTTP beside the bare call of the graph',
  contents: 'originals of 1 MB in the database or in files beside it: writing, reading, size',
  regions: 'what stands for a region of a photo in a search: nearest of the same class',
};

const [verb, ...args] = process.argv.slice(2);
if (verb === undefined || !(verb in VERBS)) {
  const lines = Object.entries(VERBS).map(([name, meaning]) => `  ${name.padEnd(8)} ${meaning}`);
  console.error(['usage: npm run bench -- VERB', ...lines].join('\n'));
  process.exit(2);
}
const module = (await import(`./${verb}.ts`)) as { run(args: string[]): Promise<void> };
await module.run(args);
