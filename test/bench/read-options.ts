import { parseArgs } from 'node:util';

/** An option of a verb: a number or numbers within their range, or text. */
export type Option = {
  /** What stands for the value in the usage, e.g. `N`. */
  readonly value: string;
  readonly meaning: string;
} & (
  | { readonly fallback: number | readonly number[]; readonly min: number; readonly max: number }
  | { readonly fallback: string; readonly oneOf?: readonly string[] }
);

export interface Verb<T extends Record<string, Option>> {
  readonly name: string;
  /** What it measures, and against what. */
  readonly purpose: string;
  readonly options: T;
}

export type Values<T extends Record<string, Option>> = {
  readonly [K in keyof T]: T[K] extends { readonly fallback: number }
    ? number
    : T[K] extends { readonly fallback: readonly number[] }
      ? readonly number[]
      : string;
};

/** Arguments that a verb does not take; the message says what it takes. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** Every verb that reports takes it. */
const JSON_OPTION = {
  value: 'FILE',
  meaning: 'also write the report there; other verbs in it stay',
  fallback: '',
};

/**
 * @param args the command line after the verb
 * @returns the options' values and where the report goes (`''`: nowhere), or undefined when only help was asked for,
 *   which is then printed
 * @throws UsageError for an unknown option and a value out of range
 */
export function readOptions<T extends Record<string, Option>>(
  verb: Verb<T>,
  args: readonly string[],
): (Values<T> & { readonly json: string }) | undefined {
  const options: Record<string, Option> = { ...verb.options, json: JSON_OPTION };
  const parsed = parse(options, args);
  if (parsed.help === true) {
    console.log(usage(verb.name, verb.purpose, options));
    return undefined;
  }
  const entries = Object.entries(options).map(([name, option]): [string, Option['fallback']] => {
    const given = parsed[name] as string | undefined;
    return [name, given === undefined ? option.fallback : readValue(name, given, option)];
  });
  return Object.fromEntries(entries) as Values<T> & { readonly json: string };
}

function parse(options: Record<string, Option>, args: readonly string[]): Record<string, unknown> {
  const texts = Object.keys(options).map((name) => [name, { type: 'string' as const }]);
  try {
    return parseArgs({
      args: [...args],
      options: { ...Object.fromEntries(texts), help: { type: 'boolean' } },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function readValue(name: string, given: string, option: Option): Option['fallback'] {
  if (typeof option.fallback === 'string') return readText(name, given, option);
  if (typeof option.fallback === 'number') return readNumber(name, given, option);
  return given.split(',').map((number) => readNumber(name, number, option));
}

function readNumber(name: string, given: string, option: Option): number {
  const { min, max } = option as { min: number; max: number };
  const number = given.trim() === '' ? NaN : Number(given);
  if (number >= min && number <= max) return number;
  throw new UsageError(`--${name} is ${given}, but it takes ${min} to ${max}`);
}

function readText(name: string, given: string, option: Option): string {
  const { oneOf } = option as { oneOf?: readonly string[] };
  if (oneOf === undefined || oneOf.includes(given)) return given;
  throw new UsageError(`--${name} is ${given}, but it takes ${oneOf.join(', ')}`);
}

function usage(name: string, purpose: string, options: Record<string, Option>): string {
  const rows = Object.entries(options).map(([key, { value, meaning, fallback }]): [string, string] => [
    `--${key} ${value}`,
    fallback.toString() === '' ? meaning : `${meaning} (default ${fallback.toString()})`,
  ]);
  const width = Math.max(...rows.map(([left]) => left.length));
  const lines = rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
  return [`Usage: npm run bench -- ${name} [options]`, purpose, ...lines].join('\n');
}
