import type { Filter, FilterScalar } from '../filter.js';

/** A condition for a WHERE clause on the table `images`, with the values for its `?` in order. */
export interface SqlCondition {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

/** Compiles a filter that `validateFilter` has accepted. Nothing of it becomes part of the SQL text. */
export function compileFilter(filter: Filter): SqlCondition {
  const { and, or, not } = filter;
  if (and !== undefined) return join(and.map(compileFilter), ' AND ');
  if (or !== undefined) return join(or.map(compileFilter), ' OR ');
  if (not !== undefined) {
    const inner = compileFilter(not);
    return { sql: `NOT ${inner.sql}`, values: inner.values };
  }
  return compileField(filter);
}

/**
 * One element of the field must satisfy `eq`, `in` and the bounds together; `ne` and `exists` are
 * about the field as a whole.
 */
function compileField(filter: Filter): SqlCondition {
  // As JSON text the name is quoted and escaped just as SQLite's path syntax wants it.
  const path = `$.${JSON.stringify(filter.field)}`;
  const exists: SqlCondition = { sql: 'json_type(images.metadata, ?) IS NOT NULL', values: [path] };
  const parts: SqlCondition[] = [];
  const ofElement = elementConditions(filter);
  if (ofElement.length > 0) parts.push(anyElement(path, join(ofElement, ' AND ')));
  if (filter.ne !== undefined) {
    const equal = anyElement(path, oneOf([filter.ne]));
    parts.push(exists, { sql: `NOT ${equal.sql}`, values: equal.values });
  }
  if (filter.exists !== undefined) {
    parts.push(filter.exists ? exists : { sql: `NOT (${exists.sql})`, values: exists.values });
  }
  return join(parts, ' AND ');
}

function elementConditions(filter: Filter): SqlCondition[] {
  const conditions: SqlCondition[] = [];
  if (filter.eq !== undefined) conditions.push(oneOf([filter.eq]));
  if (filter.in !== undefined) conditions.push(oneOf(filter.in));
  for (const [operator, bound] of [
    ['>', filter.gt],
    ['>=', filter.gte],
    ['<', filter.lt],
    ['<=', filter.lte],
  ] as const) {
    if (bound !== undefined) conditions.push(compare(operator, bound));
  }
  return conditions;
}

/** json_each gives one row for a scalar, one per element for a list and none for a missing field. */
function anyElement(path: string, condition: SqlCondition): SqlCondition {
  return {
    sql: `EXISTS (SELECT 1 FROM json_each(images.metadata, ?) AS element WHERE ${condition.sql})`,
    values: [path, ...condition.values],
  };
}

const IS_NUMBER = `element.type IN ('integer', 'real')`;
const IS_TEXT = `element.type = 'text'`;
// JSON integers beyond 2^53 would otherwise be compared digit by digit with a double that prints
// like them but differs.
const NUMBER = 'CAST(element.value AS REAL)';

function compare(operator: string, bound: string | number): SqlCondition {
  return typeof bound === 'number'
    ? { sql: `(${IS_NUMBER} AND ${NUMBER} ${operator} ?)`, values: [bound] }
    : { sql: `(${IS_TEXT} AND element.value ${operator} ?)`, values: [bound] };
}

function oneOf(values: readonly FilterScalar[]): SqlCondition {
  const numbers = values.filter((value) => typeof value === 'number');
  const texts = values.filter((value) => typeof value === 'string');
  const booleans = values.filter((value) => typeof value === 'boolean').map(String);
  const parts: SqlCondition[] = [];
  if (numbers.length > 0) parts.push(inList(`${IS_NUMBER} AND ${NUMBER}`, numbers));
  if (texts.length > 0) parts.push(inList(`${IS_TEXT} AND element.value`, texts));
  if (booleans.length > 0) parts.push(inList('element.type', booleans));
  return parts.length > 0 ? join(parts, ' OR ') : { sql: 'FALSE', values: [] };
}

function inList(subject: string, values: readonly (string | number)[]): SqlCondition {
  return { sql: `(${subject} IN (${values.map(() => '?').join(', ')}))`, values };
}

function join(parts: readonly SqlCondition[], operator: string): SqlCondition {
  return {
    sql: `(${parts.map((part) => part.sql).join(operator)})`,
    values: parts.flatMap((part) => part.values),
  };
}
