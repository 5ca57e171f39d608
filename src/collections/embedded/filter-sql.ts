import type { Filter, FilterBound, FilterDate, FilterValue } from '../filter.js';
import { toInstant } from '../instant.js';
import { instantOf, ROW_KIND } from './fields-schema.js';

/** SQL with the values for its `?` in order. */
export interface SqlCondition {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/** How SQL reads an element of a field: what holds for one of a kind, and its value. */
interface ElementSql {
  readonly isNumber: string;
  readonly number: string;
  readonly isText: string;
  readonly text: string;
  readonly isDate: string;
  readonly instant: string;
  /** SQL of a truth value. */
  readonly boolean: (value: boolean) => string;
}

/** A row of `json_each`. */
const IN_JSON: ElementSql = {
  isNumber: `element.type IN ('integer', 'real')`,
  // JSON integers beyond 2^53 would otherwise be compared digit by digit with a double that prints
  // like them but differs.
  number: 'CAST(element.value AS REAL)',
  isText: `element.type = 'text'`,
  text: 'element.value',
  isDate: `element.type = 'text'`,
  instant: instantOf('element.value'),
  boolean: (value) => `element.type = '${value}'`,
};

/** A row of the table `fields`. */
const IN_FIELDS: ElementSql = {
  isNumber: `kind = ${ROW_KIND.number}`,
  number: 'value',
  isText: `kind = ${ROW_KIND.text}`,
  text: 'value',
  isDate: `kind = ${ROW_KIND.date}`,
  instant: 'value',
  boolean: (value) => `kind = ${ROW_KIND.boolean} AND value = ${value ? 1 : 0}`,
};

/**
 * A condition for a WHERE clause on the table `images`, read from each row's metadata: for pages of a
 * list, which end after a few rows. Takes a filter that `validateFilter` has accepted; nothing of it
 * becomes part of the SQL text.
 */
export function compileFilter(filter: Filter): SqlCondition {
  const { and, or, not } = filter;
  if (and !== undefined) return join(and.map(compileFilter), ' AND ');
  if (or !== undefined) return join(or.map(compileFilter), ' OR ');
  if (not !== undefined) {
    const inner = compileFilter(not);
    return { sql: `NOT ${inner.sql}`, values: inner.values };
  }
  // As JSON text the name is quoted and escaped just as SQLite's path syntax wants it.
  const path = `$.${JSON.stringify(filter.field)}`;
  const exists: SqlCondition = { sql: 'json_type(images.metadata, ?) IS NOT NULL', values: [path] };
  const parts: SqlCondition[] = [];
  const ofElement = elementConditions(filter, IN_JSON);
  if (ofElement !== undefined) parts.push(anyElement(path, ofElement));
  if (filter.ne !== undefined) {
    const equal = anyElement(path, oneOf([filter.ne], IN_JSON));
    parts.push(exists, { sql: `NOT ${equal.sql}`, values: equal.values });
  }
  if (filter.exists !== undefined) {
    parts.push(filter.exists ? exists : { sql: `NOT (${exists.sql})`, values: exists.values });
  }
  return join(parts, ' AND ');
}

/**
 * A SELECT of the labels that match in a collection, read from the table `fields`, which has them in
 * order of the values; a label may be there more than once. Takes what `compileFilter` takes.
 *
 * @param collection its row
 */
export function selectLabels(filter: Filter, collection: number): SqlCondition {
  const all: SqlCondition = { sql: 'SELECT label FROM images WHERE collection = ?', values: [collection] };
  const without = (inner: SqlCondition): SqlCondition => combine([all, inner], ' EXCEPT ');
  const { and, or, not } = filter;
  if (and !== undefined)
    return combine(
      and.map((part) => selectLabels(part, collection)),
      ' INTERSECT ',
    );
  if (or !== undefined)
    return combine(
      or.map((part) => selectLabels(part, collection)),
      ' UNION ',
    );
  if (not !== undefined) return without(selectLabels(not, collection));
  const exists: SqlCondition = {
    sql: 'SELECT label FROM fields WHERE collection = ? AND field = ?',
    values: [collection, filter.field!],
  };
  const parts: SqlCondition[] = [];
  const ofElement = elementConditions(filter, IN_FIELDS);
  if (ofElement !== undefined) parts.push(restrict(exists, ofElement));
  if (filter.ne !== undefined) {
    parts.push(combine([exists, restrict(exists, oneOf([filter.ne], IN_FIELDS))], ' EXCEPT '));
  }
  if (filter.exists !== undefined) parts.push(filter.exists ? exists : without(exists));
  return combine(parts, ' INTERSECT ');
}

/** A condition on a row of `fields`: an element that is one of these. */
export function isOneOf(values: readonly FilterValue[]): SqlCondition {
  return oneOf(values, IN_FIELDS);
}

/** One element of the field must satisfy `eq`, `in` and the bounds together; undefined where there are none of them. */
function elementConditions(filter: Filter, element: ElementSql): SqlCondition | undefined {
  const conditions: SqlCondition[] = [];
  if (filter.eq !== undefined) conditions.push(oneOf([filter.eq], element));
  if (filter.in !== undefined) conditions.push(oneOf(filter.in, element));
  for (const [operator, bound] of [
    ['>', filter.gt],
    ['>=', filter.gte],
    ['<', filter.lt],
    ['<=', filter.lte],
  ] as const) {
    if (bound !== undefined) conditions.push(compare(operator, bound, element));
  }
  return conditions.length === 0 ? undefined : join(conditions, ' AND ');
}

function compare(operator: string, bound: FilterBound, element: ElementSql): SqlCondition {
  if (typeof bound === 'number')
    return { sql: `(${element.isNumber} AND ${element.number} ${operator} ?)`, values: [bound] };
  if (typeof bound === 'string')
    return { sql: `(${element.isText} AND ${element.text} ${operator} ?)`, values: [bound] };
  return { sql: `(${element.isDate} AND ${element.instant} ${operator} ?)`, values: [instantOfDate(bound)] };
}

function oneOf(values: readonly FilterValue[], element: ElementSql): SqlCondition {
  const numbers = values.filter((value) => typeof value === 'number');
  const texts = values.filter((value) => typeof value === 'string');
  const dates = values.filter((value): value is FilterDate => typeof value === 'object').map(instantOfDate);
  const parts: SqlCondition[] = [];
  if (numbers.length > 0) parts.push(inList(`${element.isNumber} AND ${element.number}`, numbers));
  if (texts.length > 0) parts.push(inList(`${element.isText} AND ${element.text}`, texts));
  if (dates.length > 0) parts.push(inList(`${element.isDate} AND ${element.instant}`, dates));
  for (const boolean of [true, false]) {
    if (values.includes(boolean)) parts.push({ sql: `(${element.boolean(boolean)})`, values: [] });
  }
  return parts.length > 0 ? join(parts, ' OR ') : { sql: 'FALSE', values: [] };
}

function inList(subject: string, values: readonly (string | number)[]): SqlCondition {
  return { sql: `(${subject} IN (${values.map(() => '?').join(', ')}))`, values };
}

function instantOfDate({ date }: FilterDate): number {
  return toInstant(date)!;
}

/** json_each gives one row for a scalar, one per element for a list and none for a missing field. */
function anyElement(path: string, condition: SqlCondition): SqlCondition {
  return {
    sql: `EXISTS (SELECT 1 FROM json_each(images.metadata, ?) AS element WHERE ${condition.sql})`,
    values: [path, ...condition.values],
  };
}

function restrict(select: SqlCondition, condition: SqlCondition): SqlCondition {
  return { sql: `${select.sql} AND ${condition.sql}`, values: [...select.values, ...condition.values] };
}

/** Sets of labels as one; each is a query of its own, because SQLite reads compounds from the left. */
function combine(selects: readonly SqlCondition[], operator: string): SqlCondition {
  if (selects.length === 1) return selects[0]!;
  return {
    sql: selects.map((select) => `SELECT label FROM (${select.sql})`).join(operator),
    values: selects.flatMap((select) => select.values),
  };
}

function join(parts: readonly SqlCondition[], operator: string): SqlCondition {
  return {
    sql: `(${parts.map((part) => part.sql).join(operator)})`,
    values: parts.flatMap((part) => part.values),
  };
}
