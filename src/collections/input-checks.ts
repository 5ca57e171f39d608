import { DinoError } from '../errors.js';

/** Throws `invalid-request` with `detail`. */
export function refuse(detail: string): never {
  throw new DinoError('invalid-request', detail);
}

/** @throws invalid-request unless `value` is an integer in `min`..`max` */
export function checkInteger(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    refuse(`${name} must be an integer between ${min} and ${max}, but it is ${show(value)}.`);
  }
  return value;
}

/**
 * A lone surrogate has no UTF-8 form: a database would store U+FFFD in its place, and two different
 * texts would become one.
 */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** True when `text` has no control characters (C0, DEL, C1) and is well-formed Unicode. */
export function isPlainText(text: string): boolean {
  return !/\p{Cc}|\p{Surrogate}/u.test(text);
}

/** True for `{}`-like objects; false for arrays, dates, maps and instances of classes. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** A short rendering of a refused value for an error message. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (value === null || ['number', 'boolean', 'undefined', 'bigint'].includes(typeof value))
    return String(value);
  return Array.isArray(value) ? 'a list' : `of type ${typeof value}`;
}
