import { describe, expect, it } from 'vitest';
import { decimal, filter, headOr, integer } from '#dino/cli/option-values.js';
import { textTable } from '#dino/cli/text-table.js';
import { retryDelayMs } from '#dino/client/retry-delay.js';

describe('values of options', () => {
  it.each(['0', '11', '1.5', '1e1', '', 'x', ' 1'])('a whole number of 1 to 10 is not %j', (text) => {
    expect(() => integer(1, 10)(text)).toThrow('1 to 10');
  });

  it.each([
    ['1', 1],
    ['10', 10],
  ])('a whole number of 1 to 10 is %j', (text, value) => {
    expect(integer(1, 10)(text)).toBe(value);
  });

  it.each(['-0.1', '1.1', '', 'x', 'NaN', 'Infinity'])('a share is not %j', (text) => {
    expect(() => decimal(0, 1)(text)).toThrow('0 to 1');
  });

  it('a head is a number or a word', () => {
    const head = headOr('best', 'all');
    expect([head('best'), head('all'), head('0'), head('12')]).toEqual(['best', 'all', 0, 12]);
    for (const text of ['-1', '1.5', 'union', ''])
      expect(() => head(text)).toThrow('best, all or the number');
  });

  it('a filter is a JSON object', () => {
    expect(filter('{"field":"class","eq":"cat"}')).toEqual({ field: 'class', eq: 'cat' });
    for (const text of ['', '{', '[]', 'null', '"x"']) expect(() => filter(text)).toThrow(/JSON/);
  });
});

it('a table has its columns aligned and nothing at the ends of its lines', () => {
  expect(
    textTable(
      ['n', 'name'],
      [
        [1, 'a'],
        [10, ''],
      ],
    ),
  ).toBe('n   name\n1   a\n10\n');
});

describe('the wait before a call is tried again', () => {
  it('doubles, is never shorter than the server asks for, and ends at half a minute', () => {
    for (const attempt of [0, 1, 2, 3]) {
      expect(retryDelayMs(attempt)).toBeGreaterThanOrEqual(250 * 2 ** attempt);
      expect(retryDelayMs(attempt)).toBeLessThanOrEqual(250 * 2 ** attempt * 1.25);
    }
    expect(retryDelayMs(0, 3)).toBeGreaterThanOrEqual(3000);
    expect(retryDelayMs(0, 3)).toBeLessThanOrEqual(3750);
    expect(retryDelayMs(30)).toBe(30_000);
    expect(retryDelayMs(0, 3600)).toBe(30_000);
  });
});
