import { z } from 'zod';
import type { Filter, Metadata } from '../collections/filter.js';
import { validateFilter } from '../collections/validate-filter.js';
import { DinoError } from '../errors.js';
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
