import type {
  Filter,
  FilterBound,
  FilterDate,
  FilterScalar,
  FilterValue,
  Metadata,
  MetadataValue,
} from '#dino/collections/filter.js';
import { byCodePoint } from './collection-fixtures.js';

/** Whether `metadata` matches, read straight from the filter's documentation. */
export function matches(metadata: Metadata, filter: Filter): boolean {
  if (filter.and !== undefined) return filter.and.every((part) => matches(metadata, part));
  if (filter.or !== undefined) return filter.or.some((part) => matches(metadata, part));
  if (filter.not !== undefined) return !matches(metadata, filter.not);
  const value = Object.hasOwn(metadata, filter.field!) ? metadata[filter.field!] : undefined;
  const elements: FilterScalar[] = value === undefined ? [] : Array.isArray(value) ? value : [value];
  if (filter.exists !== undefined && filter.exists !== (value !== undefined)) return false;
  const { ne } = filter;
  if (ne !== undefined && (value === undefined || elements.some((element) => equals(element, ne))))
    return false;
  const { eq, gt, gte, lt, lte } = filter;
  const ofElement = [eq, filter.in, gt, gte, lt, lte].some((operand) => operand !== undefined);
  return !ofElement || elements.some((element) => holds(element, filter));
}

function holds(element: FilterScalar, { eq, in: among, gt, gte, lt, lte }: Filter): boolean {
  if (eq !== undefined && !equals(element, eq)) return false;
  if (among !== undefined && !among.some((value) => equals(element, value))) return false;
  if (gt !== undefined && !(order(element, gt) > 0)) return false;
  if (gte !== undefined && !(order(element, gte) >= 0)) return false;
  if (lt !== undefined && !(order(element, lt) < 0)) return false;
  return !(lte !== undefined && !(order(element, lte) <= 0));
}

function equals(element: FilterScalar, value: FilterValue): boolean {
  return typeof value === 'object' ? order(element, value) === 0 : element === value;
}

/** NaN, which no comparison holds for, where the types differ. */
function order(a: FilterScalar, b: FilterBound): number {
  if (typeof b === 'object') return DATES.get(a as string)! - DATES.get(b.date)!;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return typeof a === 'string' && typeof b === 'string' ? byCodePoint(a, b) : NaN;
}

/** Dates and what they are in milliseconds since 1970, counted by hand; texts that are none are not here. */
const DAY = 86_400_000;
const DATES = new Map([
  ['1970-01-02', DAY],
  ['1970-01-02T00:00:00Z', DAY],
  ['1970-01-02T02:00:00+02:00', DAY],
  ['1970-01-01T22:30-01:30', DAY],
  ['1970-01-02T00:00', DAY],
  ['1970-01-02 00:00:00.001', DAY + 1],
  ['1970-01-02T00:00:00.0012Z', DAY + 1],
  ['1969-12-31T23:59:59.999Z', -1],
  ['1972-02-29', 789 * DAY],
]);
const NO_DATES = [
  '1970-02-30',
  '1971-02-29',
  '19700102',
  '1970-1-2',
  '1970-01-02T25:00',
  'now',
  '2440589.5',
  '1970-01-02\0',
];

export const FIELDS = ['class', 'year', 'tags', 'a "quoted" \\ field', '$.path[0]', '__proto__', 'größe 😀'];
const TEXTS = ['', 'cat', 'dog', '1', 'true', 'Ｚ', '😀', "it's; DROP TABLE images", 'a%_', ...NO_DATES];
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
    () => pick(random, [...DATES.keys()]),
    () => list([...DATES.keys(), 'no date']),
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
  const date = (): FilterDate => ({ date: pick(random, [...DATES.keys()]) });
  const filter: Filter = { field: pick(random, FIELDS) };
  // In one condition dates stand beside no other type.
  const [value, limit]: [() => FilterValue, () => FilterBound] =
    random() < 0.25 ? [date, date] : [scalar, bound];
  const operators: (() => void)[] = [
    () => (filter.eq = value()),
    () => (filter.ne = value()),
    () => (filter.in = Array.from({ length: Math.floor(random() * 4) }, value)),
    () => (filter.gt = limit()),
    () => (filter.gte = limit()),
    () => (filter.lt = limit()),
    () => (filter.lte = limit()),
    () => (filter.exists = random() < 0.5),
  ];
  for (let count = random() < 0.3 ? 2 : 1; count > 0; count--) pick(random, operators)();
  return filter;
}

function pick<T>(random: () => number, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!;
}
