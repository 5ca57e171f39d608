import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract, type Extract } from 'tar-stream';
import { explain, isImageExtension } from '../image-files.js';
import { MAX_IMAGE_BYTES, type ImportEntry } from './import-entry.js';
import { pickMetadata } from './metadata-fields.js';

/** Longest `.cls` or `.json` member that is read. */
const MAX_METADATA_BYTES = 1024 * 1024;

type Member = Extract extends AsyncIterable<infer Item> ? Item : never;

/** Members of one key, as far as they are read. */
interface Sample {
  readonly key: string;
  image?: { name: string; bytes: Uint8Array } | { name: string; tooLarge: number };
  label?: string;
  json?: string;
}

/** Whether a path is that of a WebDataset shard. */
export function isShard(path: string): boolean {
  return /\.(tar|tar\.gz|tgz)$/i.test(path);
}

/**
 * Reads the samples of a WebDataset shard as a stream: successive members whose names are the same up to the first
 * dot of the last part are one sample. Its key is the image's id; `.cls` gives its label and the fields of `.json`
 * its metadata. A damaged archive gives what can be read, and then one unreadable entry for the rest.
 */
export async function* readShard(path: string, labelField: string): AsyncGenerator<ImportEntry, void> {
  const file = createReadStream(path);
  const archive = extract();
  // Errors arrive at the loop below, since the pipeline destroys the archive with them.
  const streams = /z$/i.test(path) ? [file, createGunzip(), archive] : [file, archive];
  pipeline(streams as [typeof file, typeof archive], () => undefined);

  let weighed = 0;
  const weigh = () => {
    const weight = file.bytesRead - weighed;
    weighed = file.bytesRead;
    return weight;
  };
  let sample: Sample | undefined;
  try {
    for await (const member of archive) {
      const name = member.header.name.replace(/^(\.?\/)+/, '');
      const { key, extension } = splitName(name);
      if (member.header.type !== 'file' || isHidden(name)) {
        await skip(member);
        continue;
      }
      if (sample !== undefined && sample.key !== key) {
        yield* finish(sample, { path, labelField, weigh });
        sample = undefined;
      }
      sample ??= { key };
      if (!(await take(sample, { name, extension, member }))) {
        yield { kind: 'other', source: `${path}:${name}`, extension, weight: weigh() };
      }
    }
    if (sample !== undefined) yield* finish(sample, { path, labelField, weigh });
  } catch (error) {
    if (sample !== undefined) yield* finish(sample, { path, labelField, weigh });
    const reason = `the archive can't be read to its end: ${explain(error)}`;
    yield { kind: 'unreadable', source: path, reason, weight: weigh() };
  } finally {
    archive.destroy();
    file.destroy();
  }
}

/** `class/name.mask.png` is member `mask.png` of the sample `class/name`. */
function splitName(name: string): { key: string; extension: string } {
  const start = name.lastIndexOf('/') + 1;
  const dot = name.indexOf('.', start);
  return dot === -1
    ? { key: name, extension: '' }
    : { key: name.slice(0, dot), extension: name.slice(dot + 1) };
}

function isHidden(name: string): boolean {
  return name.slice(name.lastIndexOf('/') + 1).startsWith('.');
}

/** @returns false for a member that is of no use; it has been read over */
async function take(
  sample: Sample,
  part: { name: string; extension: string; member: Member },
): Promise<boolean> {
  const { name, extension, member } = part;
  const { size } = member.header;
  if (isImageExtension(extension) && sample.image === undefined) {
    if (size <= MAX_IMAGE_BYTES) {
      sample.image = { name, bytes: await read(member) };
    } else {
      sample.image = { name, tooLarge: size };
      await skip(member);
    }
    return true;
  }
  if ((extension === 'cls' || extension === 'json') && size <= MAX_METADATA_BYTES) {
    const text = (await read(member)).toString('utf8');
    if (extension === 'cls') sample.label = text.trim();
    else sample.json = text;
    return true;
  }
  await skip(member);
  return false;
}

async function read(member: Member): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of member) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function skip(member: Member): Promise<void> {
  for await (const chunk of member) void chunk;
}

function* finish(
  sample: Sample,
  { path, labelField, weigh }: { path: string; labelField: string; weigh: () => number },
): Generator<ImportEntry, void> {
  const { key, image, label, json } = sample;
  if (image === undefined) {
    for (const [extension, content] of Object.entries({ cls: label, json })) {
      if (content === undefined) continue;
      yield { kind: 'other', source: `${path}:${key}.${extension}`, extension, weight: weigh() };
    }
    return;
  }
  const source = `${path}:${image.name}`;
  if ('tooLarge' in image) {
    yield { kind: 'unreadable', source, reason: `it has ${image.tooLarge} bytes`, weight: weigh() };
    return;
  }
  const described = json === undefined ? { metadata: {}, leftOut: [] } : parseObject(json);
  if (described === undefined) {
    yield { kind: 'unreadable', source, reason: `${key}.json is not a JSON object`, weight: weigh() };
    return;
  }
  const { metadata, leftOut } = described;
  const labelled = label === undefined ? metadata : { ...metadata, [labelField]: label };
  yield { kind: 'image', id: key, source, bytes: image.bytes, metadata: labelled, leftOut, weight: weigh() };
}

function parseObject(json: string): ReturnType<typeof pickMetadata> | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? pickMetadata(value)
      : undefined;
  } catch {
    return undefined;
  }
}
