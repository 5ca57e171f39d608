import type { Filter, FilterScalar, Metadata, MetadataValue } from '#dino/collections/filter.js';
import { byCodePoint } from './collection-fixtures.js';

/** Whether `metadata` matches, read straight from the filter's documentation. */
export function matches(metadata: Metadata, filter: Filter): boolean {
  if (filter.and !== undefined) return filter.and.every((part) => matches(metadata, part));
  if (filter.or !== undefined) return filter.or.some((part) => matches(metadata, part));
  if (filter.not !== undefined) return !matches(metadata, filter.not);
  const value = Object.hasOwn(metadata, filter.field!) ? metadata[filter.field!] : undefined;
  const elements: FilterScalar[] = value === undefined ? [] : Array.isArray(value) ? value : [value];
  if (filter.exists !== undefined && filter.exists !== (value !== undefined)) return false;
  if (filter.ne !== undefined && (value === undefined || elements.includes(filter.ne))) return false;
  const { eq, gt, gte, lt, lte } = filter;
  const ofElement = [eq, filter.in, gt, gte, lt, lte].some((operand) => operand !== undefined);
  return !ofElement || elements.some((element) => holds(element, filter));
}

function holds(element: FilterScalar, { eq, in: among, gt, gte, lt, lte }: Filter): boolean {
  if (eq !== undefined && element !== eq) return false;
  if (among !== undefined && !among.includes(element)) return false;
  if (gt !== undefined && !(order(element, gt) > 0)) return false;
  if (gte !== undefined && !(order(element, gte) >= 0)) return false;
  if (lt !== undefined && !(order(element, lt) < 0)) return false;
  return !(lte !== undefined && !(order(element, lte) <= 0));
}

/** NaN, which no comparison holds for, where the types differ. */
function order(a: FilterScalar, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return typeof a === 'string' && typeof b === 'string' ? byCodePoint(a, b) : NaN;
}

const FIELDS = ['class', 'year', 'tags', 'a "quoted" \\ field', '$.path[0]', '__proto__', 'größe 😀'];
const TEXTS = ['', 'cat', 'dog', '1', 'true', 'Ｚ', '😀', "it's; DROP TABLE images", 'a%_'];
const NUMBERS = [0, 1, -1, 2020, 0.1, 1e21, 2 ** 60, -7.25, 5e-324];

/** Metadata with values of every type under names that need care. */
export function randomMetadata(random: () => number): Metadata {
  const entries = FIELDS.filter(() => random() < 0.6).map((field) => [field, randomValue(random)] as const);
  // fromEntries defines "__proto__" as a field like any other.
  return Object.fromEntries(entries);
}

function randomValue(random: () => number): MetadataValue {
  const list = <T>(values: readonly T[]): T[] => values.filter(() => random() < 0.3);
  return pick(random, [
    () => pick(random, TEXTS),
    () => pick(random, NUMBERS),
    () => random() < 0.5,
    () => list(TEXTS),
    () => list(NUMBERS),
  ])();
}

/** A filter that uses every operator sooner or later. */
export function randomFilter(random: () => number, depth = 3): Filter {
  const kind = depth === 0 ? 'field' : pick(random, ['field', 'field', 'and', 'or', 'not'] as const);
  if (kind === 'not') return { not: randomFilter(random, depth - 1) };
  if (kind !== 'field') {
    const parts = Array.from({ length: 1 + Math.floor(random() * 3) }, () => randomFilter(random, depth - 1));
    return { [kind]: parts };
  }
  const scalar = (): FilterScalar => pick<FilterScalar>(random, [...TEXTS, ...NUMBERS, true, false]);
  const bound = (): string | number => pick<string | number>(random, [...TEXTS, ...NUMBERS]);
  const filter: Filter = { field: pick(random, FIELDS) };
  const operators: (() => void)[] = [
    () => (filter.eq = scalar()),
    () => (filter.ne = scalar()),
    () => (filter.in = Array.from({ length: Math.floor(random() * 4) }, scalar)),
    () => (filter.gt = bound()),
    () => (filter.gte = bound()),
    () => (filter.lt = bound()),
    () => (filter.lte = bound()),
    () => (filter.exists = random() < 0.5),
  ];
  for (let count = random() < 0.3 ? 2 : 1; count > 0; count--) pick(random, operators)();
  return filter;
}

function pick<T>(random: () => number, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!;
}
