/** Kinds of rows in the table `fields`. */
export const ROW_KIND = { emptyList: 0, number: 1, text: 2, boolean: 3, date: 4 } as const;

/**
 * SQL for the instant that a text is, in seconds since 1970 with milliseconds, or NULL where it is no
 * date: `YYYY-MM-DD`, alone or with a time of day, in UTC unless an offset follows.
 *
 * @param text SQL of the text
 */
export function instantOf(text: string): string {
  const day = `substr(${text}, 1, 10)`;
  // SQLite reads much more as a date: a bare number, "now", the 31st of February, what stands before a NUL.
  return `CASE WHEN ${text} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' AND date(${day}) = ${day}
    AND instr(${text}, char(0)) = 0 THEN CAST(unixepoch(${text}, 'subsec') AS REAL) END`;
}

/**
 * Fills the table from rows of `images`.
 *
 * @param image SQL name of the row of `images`
 * @param from what `FROM` needs before the metadata's fields
 */
function insertRows(image: string, from = ''): string {
  const { emptyList, number, text, boolean, date } = ROW_KIND;
  const insert = (kind: string, value: string): string => `
    INSERT INTO fields (collection, field, kind, value, label)
    SELECT DISTINCT ${image}.collection, field.key, ${kind}, ${value}, ${image}.label
    FROM ${from}json_each(${image}.metadata) AS field LEFT JOIN json_each(CASE field.type
      WHEN 'array' THEN field.value WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE json_quote(field.value)
    END) AS element`;
  const kind = `CASE element.type WHEN 'text' THEN ${text} WHEN 'true' THEN ${boolean} WHEN 'false' THEN ${boolean}
    WHEN 'integer' THEN ${number} WHEN 'real' THEN ${number} ELSE ${emptyList} END`;
  const value = `CASE element.type WHEN 'text' THEN element.value WHEN 'true' THEN 1 WHEN 'false' THEN 0
    WHEN 'integer' THEN CAST(element.value AS REAL) WHEN 'real' THEN element.value ELSE 0 END`;
  const instant = instantOf('element.value');
  return `${insert(kind, value)};
    ${insert(`${date}`, instant)} WHERE element.type = 'text' AND ${instant} IS NOT NULL;`;
}

/**
 * What the fields of the metadata hold, in the order of the values, so that a filter reads the rows that
 * match and no others: one row for each different element of a field, one more where that is a date, and one
 * for an empty list. The triggers keep it in step within each transaction, whoever writes.
 */
export const FIELDS_MIGRATION = `
  CREATE TABLE fields (
    collection INTEGER NOT NULL REFERENCES collections (row) ON DELETE CASCADE,
    field TEXT NOT NULL,
    kind INTEGER NOT NULL,
    value ANY NOT NULL,
    label INTEGER NOT NULL,
    PRIMARY KEY (collection, field, kind, value, label)
  ) STRICT, WITHOUT ROWID;

  ${insertRows('images', 'images, ')}

  CREATE INDEX fields_by_label ON fields (collection, label);

  CREATE TRIGGER fields_of_new_image AFTER INSERT ON images BEGIN
    ${insertRows('new')}
  END;

  CREATE TRIGGER fields_of_changed_image AFTER UPDATE OF collection, label, metadata ON images BEGIN
    DELETE FROM fields WHERE collection = old.collection AND label = old.label;
    ${insertRows('new')}
  END;

  CREATE TRIGGER fields_of_deleted_image AFTER DELETE ON images BEGIN
    DELETE FROM fields WHERE collection = old.collection AND label = old.label;
  END;
`;
