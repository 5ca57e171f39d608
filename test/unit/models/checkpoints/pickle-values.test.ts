import { expect, test } from 'vitest';
import { OP } from '#dino/models/checkpoints/pickle/opcodes.js';
import { unpickle } from '#dino/models/checkpoints/pickle/unpickler.js';
import { PyTuple } from '#dino/models/checkpoints/pickle/values.js';
import { global, int, join, pickle, text, tuple, uint64 } from './builders.js';

function valueOf(bytes: Uint8Array): unknown {
  const source = { bytes, whole: true, where: 'a pickle' };
  return unpickle(source, { persistentLoad: (id) => id }).value;
}

test.each([
  ['I01\n', true],
  ['I00\n', false],
  ['I-7\n', -7],
  ['L12345678901234567890L\n', 12345678901234567890n],
  ['F-1.5e-3\n', -0.0015],
  ['F-inf\n', -Infinity],
  ['Fnan\n', NaN],
  ["S'a\\n\\x41\\''\n", "a\nA'"],
  ['Vcaf\xe9 \\u2713\\U0001f995\n', 'caf\u00e9 \u2713\u{1f995}'],
])('%j of protocol 0 is what Python reads', (line, value) => {
  expect(valueOf(pickle(line))).toEqual(value);
});

test.each([
  ['no byte', [], 0],
  ['one negative byte', [0xff], -1],
  ['two bytes', [0xff, 0x00], 255],
  ['eight bytes', [0, 0, 0, 0, 0, 0, 0, 0x80], -(2n ** 63n)],
])('a long integer of %s', (_, bytes, value) => {
  expect(valueOf(pickle(OP.LONG1, bytes.length, ...bytes))).toBe(value);
});

test('every way to make a collection', () => {
  const one = int(1);
  const set = join(OP.EMPTY_SET, OP.MARK, one, OP.ADDITEMS);
  const parts = [
    join(OP.MARK, one, OP.LIST),
    join(OP.MARK, text('a'), one, OP.DICT),
    join(OP.MARK, one, OP.FROZENSET),
    join(OP.BYTEARRAY8, uint64(1n), 9),
    join(global('__builtin__', 'list'), tuple(tuple(one)), OP.REDUCE),
    join(global('collections', 'OrderedDict'), tuple(tuple(tuple(text('a'), one))), OP.REDUCE),
    join(one, OP.DUP, OP.TUPLE2),
    join(one, OP.MARK, one, OP.POP_MARK),
    join(one, OP.MARK, OP.POP),
  ];
  expect((valueOf(pickle(tuple(set, ...parts))) as PyTuple).items).toEqual([
    new Set([1]),
    [1],
    new Map([['a', 1]]),
    new Set([1]),
    Buffer.of(9),
    [1],
    new Map([['a', 1]]),
    new PyTuple([1, 1]),
    1,
    1,
  ]);
});

test('what was remembered comes back, by number and in order', () => {
  const parts = [
    text('a'),
    OP.MEMOIZE,
    text('b'),
    OP.MEMOIZE,
    OP.BINGET,
    0,
    OP.GET,
    '1\n',
    OP.PUT,
    '7\n',
    OP.BINGET,
    7,
  ];
  expect((valueOf(pickle(tuple(...parts))) as PyTuple).items).toEqual(['a', 'b', 'a', 'b', 'b']);
});
