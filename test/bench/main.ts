/**
 * Benchmarks, run by hand: `npm run bench -- VERB [options]`. They print what they measure and gate nothing.
 */
import { UsageError } from './read-options.js';

const VERBS = {
  embed:
    'JPEG over HTTP to embedding, beside ONNX Runtime alone on ready tensors, and where the processor time goes',
  compare:
    'JPEG to embedding beside transformers.js, PyTorch behind FastAPI and the runtime alone, and what int8 costs',
  search:
    'recall under filters of every selectivity, and searches over HTTP beside the bare call of the graph',
  latency: 'latency at half of the peak load, the event loop at full load, and start to ready',
  soak: 'an hour of everything at full load: memory at the end over memory after a minute',
  flame: 'what the main thread does at full load, as a flame graph',
  index:
    'collections of 10,000 vectors and more: building, search, recall, memory and start-up, beside hnswlib for Python',
  masks: 'masks against the pixel masks of ECSSD, for every head and way of choosing one',
  regions: 'what stands for a region of a photo in a search: nearest of the same class',
  stalls: 'how long the event loop stands still under masks, attention and correspondences',
  writes: 'writes per second to the store, one by one and sharing commits, at 1, 8 and 64 writers',
  contents: 'originals of 1 MB in the database or in files beside it: writing, reading, size',
  snapshots: 'how long a snapshot takes, and how long reads wait meanwhile',
  originals:
    'upserts through the whole store with originals in the database and as files, by size and writers',
  preprocess: 'from a JPEG to the pixels of a model, beside the bare decoding by djpeg',
};

const [verb = '', ...args] = process.argv.slice(2);
if (!Object.hasOwn(VERBS, verb)) {
  const lines = Object.entries(VERBS).map(([name, meaning]) => `  ${name.padEnd(10)}  ${meaning}`);
  const usage = ['usage: npm run bench -- VERB [options]; VERB --help tells which', ...lines].join('\n');
  if (verb === '--help') {
    console.log(usage);
    process.exit(0);
  }
  console.error(verb === '' ? usage : `there is no verb ${verb}\n${usage}`);
  process.exit(2);
}
// As the service does for its models: see session-process.ts.
process.env.ORT_DISABLE_TELEMETRY = '1';
const module = (await import(`./${verb}.ts`)) as { run(args: string[]): Promise<void> };
try {
  await module.run(args);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${verb}: ${error.message}; --help tells more`);
  process.exitCode = 2;
}
