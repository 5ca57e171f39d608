export interface Licence {
  /** SPDX identifier, or the licence's name. */
  readonly name: string;
  readonly url?: string;
}

/** The hub's identifiers are in lower case; SPDX's are not. */
const SPDX = [
  'Apache-2.0',
  'MIT',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'CC-BY-4.0',
  'CC-BY-SA-4.0',
  'CC-BY-NC-4.0',
  'CC-BY-NC-SA-4.0',
  'CC-BY-NC-ND-4.0',
  'CC0-1.0',
  'GPL-3.0',
  'AGPL-3.0',
  'LGPL-3.0',
  'MPL-2.0',
  'Unlicense',
];

/**
 * The licence that a model card states in the YAML between its first two lines of `---`.
 *
 * @returns undefined where it states none
 */
export function readLicence(card: string): Licence | undefined {
  const header = /^\uFEFF?---\r?\n([^]*?)\r?\n---/.exec(card)?.[1];
  if (header === undefined) return undefined;
  const field = (name: string) => {
    // A value on the field's line, or the first of a list below it.
    const value = new RegExp(`^${name}:[ \\t]*(?:\\r?\\n[ \\t]*-[ \\t]*)?([^\\r\\n#]+)`, 'm').exec(
      header,
    )?.[1];
    const text = value?.trim().replace(/^(["'])(.*)\1$/, '$2');
    return text === '' ? undefined : text;
  };
  const identifier = field('license');
  if (identifier === undefined) return undefined;
  const name = identifier === 'other' ? (field('license_name') ?? 'other') : identifier;
  const spdx = SPDX.find((known) => known.toLowerCase() === name.toLowerCase());
  const link = field('license_link');
  return { name: spdx ?? name, url: link !== undefined && URL.canParse(link) ? link : undefined };
}
