import { isPlainObject, isWellFormed, refuse, show } from './input-checks.js';
import { validateFieldName } from './validate-image.js';
import type { Filter, FilterValue } from './filter.js';
import { toInstant } from './instant.js';

/** Levels of `and`, `or` and `not`, the outermost condition being level 1. */
export const MAX_FILTER_DEPTH = 16;
/** Conditions in a whole filter, combinations included. */
export const MAX_FILTER_NODES = 256;
/** Values to compare with in a whole filter. */
export const MAX_FILTER_VALUES = 4096;

const COMBINATIONS = ['and', 'or', 'not'] as const;
const RANGES = ['gt', 'gte', 'lt', 'lte'] as const;
const OPERATORS = ['eq', 'ne', 'in', ...RANGES, 'exists'] as const;
const KEYS: readonly string[] = [...COMBINATIONS, 'field', ...OPERATORS];

/**
 * Checks a filter that came from outside.
 *
 * Every condition is exactly one of `and`, `or`, `not`, or a `field` with at least one operator. An
 * empty object is refused (leave the filter out to match everything), and so are empty `and` and `or`;
 * an empty `in` is allowed and matches nothing. At most 16 levels, 256 conditions and 4096 values.
 *
 * @param input anything, typically parsed JSON
 * @returns a copy with the known keys only
 * @throws invalid-request, naming where in the filter the problem is
 */
export function validateFilter(input: unknown): Filter {
  return new FilterCheck().condition(input, 'filter', 1);
}

class FilterCheck {
  private nodes = 0;
  private values = 0;

  condition(input: unknown, at: string, depth: number): Filter {
    if (depth > MAX_FILTER_DEPTH) refuse(`The filter is nested deeper than ${MAX_FILTER_DEPTH} levels.`);
    if (++this.nodes > MAX_FILTER_NODES) refuse(`The filter has more than ${MAX_FILTER_NODES} conditions.`);
    if (!isPlainObject(input)) refuse(`${at} must be an object, but it is ${show(input)}.`);
    const given = Object.keys(input).filter((key) => input[key] !== undefined);
    const unknown = given.find((key) => !KEYS.includes(key));
    if (unknown !== undefined)
      refuse(`${at} has an unknown key ${show(unknown)}; known are ${KEYS.join(', ')}.`);
    if (given.length === 0) {
      refuse(
        `${at} is empty; give "and", "or", "not" or "field", or leave the filter out to match everything.`,
      );
    }
    const combination = COMBINATIONS.find((key) => given.includes(key));
    if (combination === undefined) return this.field(input, given, at);
    if (given.length > 1) {
      refuse(`${at} has "${combination}" beside other keys; combine them with "and" instead.`);
    }
    if (combination === 'not') return { not: this.condition(input['not'], `${at}.not`, depth + 1) };
    const parts = input[combination];
    if (!Array.isArray(parts) || parts.length === 0)
      refuse(`${at}.${combination} must be a list of conditions, not empty.`);
    const conditions = Array.from(parts as unknown[], (part, index) =>
      this.condition(part, `${at}.${combination}[${index}]`, depth + 1),
    );
    return { [combination]: conditions };
  }

  private field(input: Record<string, unknown>, given: string[], at: string): Filter {
    if (!given.includes('field')) refuse(`${at} has operators but no "field" to apply them to.`);
    const filter: Filter = { field: validateFieldName(input['field']) };
    if (given.length === 1)
      refuse(`${at} has a "field" but no operator; give one of ${OPERATORS.join(', ')}.`);
    if (given.includes('eq')) filter.eq = this.value(input['eq'], `${at}.eq`);
    if (given.includes('ne')) filter.ne = this.value(input['ne'], `${at}.ne`);
    if (given.includes('in')) {
      const values = input['in'];
      if (!Array.isArray(values)) refuse(`${at}.in must be a list, but it is ${show(values)}.`);
      filter.in = Array.from(values as unknown[], (value, index) => this.value(value, `${at}.in[${index}]`));
    }
    for (const range of RANGES) {
      if (!given.includes(range)) continue;
      const bound = this.value(input[range], `${at}.${range}`);
      if (typeof bound === 'boolean')
        refuse(`${at}.${range} must be a number, a text or a date; booleans have no order.`);
      filter[range] = bound;
    }
    if (given.includes('exists')) {
      const exists = input['exists'];
      if (typeof exists !== 'boolean')
        refuse(`${at}.exists must be true or false, but it is ${show(exists)}.`);
      filter.exists = exists;
    }
    const ofElement = [filter.eq, ...(filter.in ?? []), ...RANGES.map((range) => filter[range])];
    const kinds = new Set(
      ofElement.filter((value) => value !== undefined).map((value) => typeof value === 'object'),
    );
    if (kinds.size > 1) {
      refuse(`${at} compares with dates and with other values at once; write a condition for each.`);
    }
    return filter;
  }

  private value(value: unknown, at: string): FilterValue {
    if (++this.values > MAX_FILTER_VALUES) refuse(`The filter has more than ${MAX_FILTER_VALUES} values.`);
    if (typeof value === 'boolean') return value;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (typeof value === 'string' && isWellFormed(value)) return value;
    if (isPlainObject(value) && Object.keys(value).join() === 'date') return this.date(value['date'], at);
    refuse(
      `${at} must be a text, a finite number, a boolean or a date as {"date": "2024-05-01"}, but it is ${show(value)}.`,
    );
  }

  private date(date: unknown, at: string): FilterValue {
    if (typeof date === 'string' && toInstant(date) !== undefined) return { date };
    refuse(
      `${at}.date must be a date in ISO 8601 such as "2024-05-01" or "2024-05-01T10:00:00+02:00", but it is ${show(date)}.`,
    );
  }
}
