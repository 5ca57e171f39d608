import type { Database } from 'better-sqlite3';
import type { FacetQuery, FacetValue, Facets } from '../collection-store.js';
import type { Filter, FilterScalar } from '../filter.js';
import { ROW_KIND } from './fields-schema.js';
import { isOneOf, selectLabels } from './filter-sql.js';
import type { SqlCondition } from './filter-sql.js';

/** Rows that are elements as they were given, and not the dates read from them. */
const IS_ELEMENT = `kind IN (${ROW_KIND.number}, ${ROW_KIND.text}, ${ROW_KIND.boolean})`;

/** Elements of a field that the images asked for have one of, or one besides. */
export interface ElementChoice {
  readonly field: string;
  readonly values: readonly FilterScalar[];
  /** `among`: an element that is one of `values`; `besides`: an element that is none of them. */
  readonly which: 'among' | 'besides';
}

/** Questions to the metadata of a collection, answered from the table `fields`. */
export class FieldTable {
  constructor(private readonly db: Database) {}

  /** Labels of the images that match, each once. */
  matching(collection: number, filter: Filter): number[] {
    return this.labels(selectLabels(filter, collection));
  }

  /** Labels of the images that match and have such an element, each once. */
  choosing(collection: number, choice: ElementChoice, filter: Filter | undefined): number[] {
    const { sql, values } = isOneOf(choice.values);
    const chosen: SqlCondition = {
      sql: `SELECT label FROM fields WHERE collection = ? AND field = ? AND ${IS_ELEMENT} AND ${choice.which === 'among' ? sql : `NOT ${sql}`}`,
      values: [collection, choice.field, ...values],
    };
    return this.labels(filter === undefined ? chosen : within(chosen, selectLabels(filter, collection)));
  }

  /** How many images match. */
  count(collection: number, filter: Filter | undefined): number {
    const { sql, values } = labelsOf(collection, filter);
    return this.db
      .prepare(`SELECT COUNT(DISTINCT label) FROM (${sql})`)
      .pluck()
      .get(...values) as number;
  }

  facets(collection: number, { field, filter, limit }: FacetQuery): Facets {
    const ofField: SqlCondition = {
      sql: 'FROM fields WHERE collection = ? AND field = ?',
      values: [collection, field],
    };
    const rows = filter === undefined ? ofField : within(ofField, selectLabels(filter, collection));
    const counted = this.db
      .prepare(
        `SELECT kind, value, COUNT(*) AS count, COUNT(*) OVER () AS "distinct" ${rows.sql} AND ${IS_ELEMENT}
         GROUP BY kind, value ORDER BY count DESC, kind, value LIMIT ?`,
      )
      .all(...rows.values, limit) as {
      kind: number;
      value: string | number;
      count: number;
      distinct: number;
    }[];
    const present = this.db
      .prepare(`SELECT COUNT(DISTINCT label) ${rows.sql}`)
      .pluck()
      .get(...rows.values) as number;
    const total = this.count(collection, filter);
    return {
      values: counted.map(({ kind, value, count }): FacetValue => ({ value: valueOf(kind, value), count })),
      distinct: counted[0]?.distinct ?? 0,
      total,
      missing: total - present,
    };
  }

  private labels({ sql, values }: SqlCondition): number[] {
    const labels = this.db
      .prepare(sql)
      .pluck()
      .all(...values) as number[];
    return [...new Set(labels)];
  }
}

function labelsOf(collection: number, filter: Filter | undefined): SqlCondition {
  if (filter !== undefined) return selectLabels(filter, collection);
  return { sql: 'SELECT label FROM images WHERE collection = ?', values: [collection] };
}

function within(rows: SqlCondition, labels: SqlCondition): SqlCondition {
  return { sql: `${rows.sql} AND label IN (${labels.sql})`, values: [...rows.values, ...labels.values] };
}

function valueOf(kind: number, value: string | number): FilterScalar {
  return kind === ROW_KIND.boolean ? value === 1 : value;
}
