import { z } from 'zod';
import type { Diversity } from '../collections/collection-store.js';
import type { Filter, Metadata } from '../collections/filter.js';
import { validateFilter } from '../collections/validate-filter.js';
import { DinoError } from '../errors.js';
import { decompressCounts } from '../segmentation/rle.js';
import type { Region } from '../inference/region.js';
import { parseJsonOption } from './responses.js';

/** A filter in a query string. @throws DinoError invalid-request */
export function parseFilter(text: string | undefined): Filter | undefined {
  return text === undefined ? undefined : validateFilter(parseJsonOption('filter', text));
}

const metadataSchema: z.ZodType<Metadata> = z.record(
  z.string(),
  z.union([z.string(), z.number(), z.boolean(), z.array(z.string()), z.array(z.number())]),
);

const itemsSchema = z.array(
  z.strictObject({ id: z.string().optional(), metadata: metadataSchema.optional() }),
);

/** Metadata in a query string or a form's field; none where there is no text. @throws DinoError invalid-request */
export function parseMetadata(text: string | undefined): Metadata {
  return text === undefined ? {} : check('metadata', metadataSchema, text);
}

/** What belongs to the files of a batch, in their order. @throws DinoError invalid-request */
export function parseBatchItems(
  text: string | undefined,
  files: number,
): { id?: string; metadata?: Metadata }[] {
  if (text === undefined) return [];
  const items = check('items', itemsSchema, text);
  if (items.length !== files) {
    throw new DinoError(
      'invalid-request',
      `items describes ${items.length} images, but there are ${files} files.`,
    );
  }
  return items;
}

const diversitySchema = z.strictObject({ lambda: z.number().optional(), candidates: z.number().optional() });

/** Options of diversity in a query string; the store checks their ranges. @throws DinoError invalid-request */
export function parseDiversity(text: string | undefined): Diversity | undefined {
  return text === undefined ? undefined : check('diversity', diversitySchema, text);
}

const regionSchema = z.union([
  z.strictObject({ bbox: z.array(z.number()).length(4) }),
  z.strictObject({
    mask: z.strictObject({ size: z.tuple([z.int().positive(), z.int().positive()]), counts: z.string() }),
  }),
]);

/** A part of an image, as JSON text or read already. @throws DinoError invalid-request */
export function parseRegion(given: unknown): Region | undefined {
  if (given === undefined) return undefined;
  const value = typeof given === 'string' ? parseJsonOption('region', given) : given;
  const parsed = regionSchema.safeParse(value);
  if (!parsed.success) {
    const detail =
      'region takes {"bbox": [x, y, width, height]} or {"mask": {"size": [height, width], "counts": "..."}}.';
    throw new DinoError('invalid-request', detail);
  }
  if ('bbox' in parsed.data) return parsed.data;
  const { size, counts } = parsed.data.mask;
  const [height, width] = size;
  const runs = decompressCounts(counts);
  if (runs.reduce((sum, run) => sum + run, 0) !== height * width) {
    throw new DinoError(
      'invalid-request',
      `region: the mask's runs don't sum to ${height} x ${width} pixels.`,
    );
  }
  return { runs, height, width };
}

function check<T>(name: string, schema: z.ZodType<T>, text: string): T {
  const parsed = schema.safeParse(parseJsonOption(name, text));
  if (!parsed.success) throw new DinoError('invalid-request', `${name}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/**
 * Numbers of an option that is text, such as the point `120,80`.
 *
 * @param form what it takes, for the message; as many numbers as it has words between commas
 * @throws DinoError invalid-request
 */
export function parseNumbers(name: string, form: string, text: string): number[] {
  const parts = text.split(',');
  const numbers = parts.map(Number);
  const areNumbers = parts.every((part, at) => part.trim() !== '' && Number.isFinite(numbers[at]));
  if (!areNumbers || parts.length !== form.split(',').length) {
    throw new DinoError('invalid-request', `${name} takes ${form} in px, not ${JSON.stringify(text)}.`);
  }
  return numbers;
}

/**
 * The setting of objects in a query string.
 *
 * @throws DinoError invalid-request for a number of objects without a method
 */
export function objectSetting<M extends string>({
  objects,
  maxObjects,
}: {
  objects?: M;
  maxObjects?: number;
}): { method: M; max?: number } | undefined {
  if (objects !== undefined) return { method: objects, max: maxObjects };
  if (maxObjects === undefined) return undefined;
  throw new DinoError('invalid-request', 'maxObjects needs objects: the method that finds them.');
}
