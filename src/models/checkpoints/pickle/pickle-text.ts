import { toNumber } from './pickle-reader.js';

// What protocols 0 and 1 write as text. Each answers undefined for what Python would not have written.

export function parseInteger(text: string): number | bigint | undefined {
  return /^[+-]?\d+$/.test(text) ? toNumber(BigInt(text.replace('+', ''))) : undefined;
}

/** Protocol 0 writes booleans as 00 and 01. */
export function parseIntegerOrBoolean(text: string): number | bigint | boolean | undefined {
  return text === '00' || text === '01' ? text === '01' : parseInteger(text);
}

/** The `repr` of a float. */
export function parseFloatLine(text: string): number | undefined {
  if (text === 'nan') return NaN;
  if (/^-?inf$/.test(text)) return text === 'inf' ? Infinity : -Infinity;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

/** The number of a value in the memo. */
export function parseIndex(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['\\', '\\'],
  ["'", "'"],
  ['"', '"'],
]);

/** Text in quotes with Python's escapes, as Python 2 wrote it. */
export function parseQuoted(line: string): string | undefined {
  const quoted = /^(['"])(.*)\1$/s.exec(line)?.[2];
  let valid = quoted !== undefined;
  const text = quoted?.replace(
    /\\(?:x([0-9a-fA-F]{2})|(.))/gs,
    (_, hex: string | undefined, letter: string) => {
      const plain = hex === undefined ? ESCAPES.get(letter) : String.fromCharCode(parseInt(hex, 16));
      valid &&= plain !== undefined;
      return plain ?? '';
    },
  );
  return valid ? text : undefined;
}

/** Latin-1 text whose other characters are \u and \U escapes. */
export function parseEscaped(line: string): string | undefined {
  let valid = true;
  const text = line.replace(
    /\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g,
    (_, short: string | undefined, long: string) => {
      const code = parseInt(short ?? long, 16);
      valid &&= code <= 0x10ffff;
      return valid ? String.fromCodePoint(code) : '';
    },
  );
  return valid ? text : undefined;
}
