import { InvalidArgumentError } from 'commander';
import type { Filter } from '../client/resources.js';

/** Reads an option that is a whole number, `min` to `max`. */
export function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It takes a whole number, ${min} to ${max}.`);
    }
    return value;
  };
}

/** Reads an option that is a number, `min` to `max`. */
export function decimal(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max)) {
      throw new InvalidArgumentError(`It takes a number, ${min} to ${max}.`);
    }
    return value;
  };
}

/** Reads an option that is the number of an attention head or one of some words. */
export function headOr<Word extends string>(...words: Word[]): (text: string) => number | Word {
  return (text) => {
    const word = words.find((known) => known === text);
    if (word !== undefined) return word;
    if (!/^\d{1,4}$/.test(text)) {
      throw new InvalidArgumentError(`It takes ${words.join(', ')} or the number of a head, from 0.`);
    }
    return Number(text);
  };
}

/** Reads numbers apart by commas, such as `120,80`: as many as `form` names. The text stays as it is. */
export function numbers(form: string): (text: string) => string {
  return (text) => {
    const parts = text.split(',');
    const areNumbers = parts.every((part) => part.trim() !== '' && Number.isFinite(Number(part)));
    if (!areNumbers || parts.length !== form.split(',').length) {
      throw new InvalidArgumentError(`It takes ${form} in px.`);
    }
    return text;
  };
}

/** Reads a metadata filter; what it may hold is the server's to check. */
export function filter(text: string): Filter {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidArgumentError(`It takes JSON, such as '{"field":"class","eq":"cat"}'.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError(`It takes a JSON object, such as '{"field":"class","eq":"cat"}'.`);
  }
  return value;
}
