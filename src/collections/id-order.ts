/**
 * Order of ids by Unicode code point, which is the order of their UTF-8 bytes and so of the database.
 * JavaScript's own `<` compares UTF-16 units and puts U+1F600 before U+FF5E.
 *
 * @returns negative, zero or positive as `a` comes before, equals or comes after `b`
 */
export function compareIds(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const unitA = a.charCodeAt(i);
    const unitB = b.charCodeAt(i);
    if (unitA !== unitB) return rank(unitA) - rank(unitB);
  }
  return a.length - b.length;
}

/** Moves surrogates (code points from U+10000) above U+E000..U+FFFF. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}
