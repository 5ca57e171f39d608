import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { createImageReader, type ImageReader } from '#dino/vision/image-reader.js';
import { readTarPhotos, SALIENT_PHOTOS } from './photos.js';
import { readOptions, UsageError } from './read-options.js';
import { Reporter } from './report.js';
import { median, medianRatio } from './statistics.js';

const VERB = {
  name: 'preprocess',
  purpose:
    'Processor time from the bytes of a JPEG to the pixels of a model, in both modes, by rows as it is and by sharp, over the ' +
    'bare decoding of the same file by djpeg (libjpeg-turbo), in turn. Processor time is counted, so other work on the machine matters little.',
  options: {
    photos: { value: 'FILE', meaning: 'tar of JPEGs', fallback: SALIENT_PHOTOS },
    limit: { value: 'N', meaning: 'photos of it', fallback: 8, min: 1, max: 1000 },
    rounds: { value: 'N', meaning: 'turns of each', fallback: 5, min: 1, max: 100 },
    widths: {
      value: 'PX[,PX..]',
      meaning: 'photos are enlarged to these; 0: as they are',
      fallback: [0, 1600, 4000] as readonly number[],
      min: 0,
      max: 20_000,
    },
    resize: { value: 'PX', meaning: 'shorter side that is scaled to', fallback: 256, min: 16, max: 1024 },
    crop: { value: 'PX', meaning: 'square that is cut out', fallback: 224, min: 16, max: 1024 },
  },
} as const;

/**
 * How often everyone goes through the photos in a turn: djpeg's times are told in whole ms, and nobody else shall begin from cold
 * caches more often.
 */
const runsOf = (width: number) => (width < 1600 ? 10 : width < 4000 ? 3 : 1);

const BARE = 'djpeg, decoding alone';

/** @param args the command line after the verb */
export async function run(args: string[]): Promise<void> {
  const options = readOptions(VERB, args);
  if (options === undefined) return;
  if (options.crop > options.resize) throw new UsageError('--crop is larger than --resize');
  if (spawnSync('djpeg', ['-version']).error !== undefined)
    throw new UsageError('djpeg is not there: install libjpeg-turbo-progs');
  const photos = (await readTarPhotos([options.photos], options.limit)).map(({ jpeg }) => jpeg);
  const reporter = new Reporter('preprocess', options);
  const folder = await mkdtemp(join(tmpdir(), 'dino-bench-'));
  try {
    for (const width of options.widths) {
      const jpegs = width === 0 ? photos : await Promise.all(photos.map((jpeg) => enlarged(jpeg, width)));
      const title = `${width === 0 ? 'photos as they are' : `${width} px wide`}: ms of processor time an image`;
      reporter.table(title, await measure({ jpegs, folder, runs: runsOf(width), ...options }));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  await reporter.finish(options.json);
}

function enlarged(jpeg: Buffer, width: number): Promise<Buffer> {
  return sharp(jpeg).resize(width).jpeg({ quality: 90 }).toBuffer();
}

async function measure(parts: {
  jpegs: readonly Buffer[];
  folder: string;
  runs: number;
  rounds: number;
  resize: number;
  crop: number;
}) {
  const { jpegs, folder, runs, rounds, resize, crop } = parts;
  const paths = await Promise.all(
    jpegs.map(async (jpeg, i) => {
      const path = join(folder, `${i}.jpg`);
      await writeFile(path, jpeg);
      return path;
    }),
  );
  const tiny = join(folder, 'tiny.jpg');
  await writeFile(
    tiny,
    await sharp({ create: { width: 8, height: 8, channels: 3, background: '#777' } })
      .jpeg()
      .toBuffer(),
  );
  const limits = { maxPixels: 100_000_000, timeoutSeconds: 60 };
  const readers = {
    exact: createImageReader({ ...limits, preprocessing: 'exact' }),
    'fast, the default': createImageReader({ ...limits, preprocessing: 'fast' }),
    'exact, by sharp': createImageReader({ ...limits, preprocessing: 'exact', jpegsBy: 'sharp' }),
    'fast, by sharp': createImageReader({ ...limits, preprocessing: 'fast', jpegsBy: 'sharp' }),
  };
  const times = new Map<string, number[]>();
  const note = (way: string, ms: number) => times.set(way, [...(times.get(way) ?? []), ms]);
  for (let round = -1; round < rounds; round++) {
    // Of as many starts as there are photos.
    const start = djpegMs(
      jpegs.map(() => tiny),
      runs,
    );
    const bare = djpegMs(paths, runs) - start;
    // The first turn warms up.
    if (round >= 0) note(BARE, bare);
    for (const [way, reader] of Object.entries(readers)) {
      const ms = await readerMs(reader, jpegs, { runs, resize, crop });
      if (round >= 0) note(way, ms);
    }
  }
  const row = (taken: number[]) => ({
    ms: median(taken),
    'over djpeg': medianRatio(taken, times.get(BARE)!),
  });
  return Object.fromEntries([...times].map(([way, taken]) => [way, row(taken)]));
}

/** Processor time of djpeg per file, starting it included. */
function djpegMs(paths: readonly string[], runs: number): number {
  const script = `TIMEFORMAT='%U %S'; time for i in $(seq ${runs}); do for f in "$@"; do djpeg -outfile /dev/null "$f"; done; done`;
  const text = execFileSync('bash', ['-c', `{ ${script}; } 2>&1`, 'bash', ...paths]).toString();
  const [user, system] = text.trim().split(' ').map(Number);
  return ((user! + system!) * 1000) / runs / paths.length;
}

/** Processor time of this process per image, all its threads together. */
async function readerMs(
  reader: ImageReader,
  jpegs: readonly Buffer[],
  { runs, resize, crop }: { runs: number; resize: number; crop: number },
): Promise<number> {
  const before = process.cpuUsage();
  for (let run = 0; run < runs; run++) {
    for (const jpeg of jpegs) await reader.forEmbedding(jpeg, { resize, crop });
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / runs / jpegs.length;
}
