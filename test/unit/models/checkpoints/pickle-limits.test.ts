import { expect, test } from 'vitest';
import { OP } from '#dino/models/checkpoints/pickle/opcodes.js';
import {
  global,
  join,
  pickle,
  stateDict,
  tensor,
  text,
  torchZip,
  tuple,
  uint32,
  uint64,
} from './builders.js';
import { complaintAbout } from './fixtures.js';

function repeat(count: number, part: Buffer): Buffer {
  return Buffer.concat(new Array<Buffer>(count).fill(part));
}

/** Remembers the value on top as number `index`. */
function put(index: number): Buffer {
  return join(OP.LONG_BINPUT, uint32(index));
}

function get(index: number): Buffer {
  return join(OP.LONG_BINGET, uint32(index));
}

/** A dictionary of one that holds itself a thousand times over. */
const DEEP = pickle(repeat(1000, join(OP.EMPTY_DICT, text('a'))), OP.NONE, repeat(1000, join(OP.SETITEM)));

/** A list that holds the list before twice, thirty times: a thousand million leaves. */
const DOUBLING = pickle(
  OP.EMPTY_LIST,
  put(0),
  ...Array.from({ length: 30 }, (_, i) =>
    join(OP.EMPTY_LIST, put(i + 1), get(i), OP.APPEND, get(i), OP.APPEND),
  ),
);

const LOOP = pickle(OP.EMPTY_LIST, put(0), get(0), OP.APPEND);

/** A text of a megabyte, turned into bytes ten thousand times. */
const COPIES = pickle(
  text('x'.repeat(2 ** 20)),
  put(0),
  repeat(10_000, join(global('_codecs', 'encode'), tuple(get(0), text('latin1')), OP.REDUCE, OP.POP)),
  OP.NONE,
);

/** The text of a megabyte as the name of a name of a name. */
const LONG_NAMES = pickle(
  text('x'.repeat(2 ** 20)),
  put(0),
  ...Array.from({ length: 30 }, (_, i) =>
    join(OP.EMPTY_DICT, put(i + 1), get(0), i === 0 ? OP.NONE : get(i), OP.SETITEM),
  ),
);

test.each([
  ['a thousand dictionaries inside each other', DEEP, 'nested deeper, or is more, than a checkpoint needs'],
  ['lists that double thirty times through the memo', DOUBLING, 'nested deeper, or is more'],
  ['a list that holds itself', LOOP, 'nested deeper, or is more'],
  ['names that grow through the memo', LONG_NAMES, 'nested deeper, or is more'],
  ['copies of a large text', COPIES, 'copies the same data again and again'],
  ['five million instructions', pickle(repeat(2_500_000, join(OP.NONE, OP.POP)), OP.NONE), 'instructions'],
  ['an integer of two gigabytes', pickle(OP.LONG4, uint32(0x7fffffff)), 'an integer of 2147483647 bytes'],
  ['an integer of negative length', pickle(OP.LONG4, uint32(0xffffffff)), 'an integer of -1 bytes'],
  ['a text of four gigabytes', pickle(OP.BINUNICODE, uint32(0xffffffff)), 'a part of 4294967295 bytes'],
  ['bytes of 2^64', pickle(OP.BINBYTES8, uint64(2n ** 64n - 1n)), 'more than a checkpoint needs'],
  [
    'a number of a megabyte of digits',
    pickle(OP.LONG, `${'9'.repeat(2 ** 20)}L\n`),
    'a line of more than 1024 bytes',
  ],
  ['a value from an empty stack', pickle(OP.TUPLE3), 'takes what is not there'],
  ['a value from below a mark', pickle(OP.NONE, OP.MARK, OP.TUPLE1), 'takes what is not there'],
  ['a mark that is not there', pickle(OP.TUPLE), 'takes what is not there'],
  ['a value that was not remembered', pickle(OP.BINGET, 3), 'refers to value 3, which is not there'],
  ['a key without a value', pickle(OP.EMPTY_DICT, OP.MARK, OP.NONE, OP.SETITEMS), 'uses SETITEMS on what'],
  ['an unknown instruction', pickle(0xff), 'the unknown instruction 0xff'],
  ['an unknown protocol', join(OP.PROTO, 9, OP.NONE, OP.STOP), 'no pickle protocol 9'],
  ['text that is not UTF-8', pickle(OP.SHORT_BINUNICODE, 1, 0xff), 'text that is not UTF-8'],
  ['a number that is none', pickle(OP.FLOAT, '1,5\n'), 'a number or text that Python does not write'],
])('%s: a clear complaint, in a moment', async (_, bytes, message) => {
  expect(await complaintAbout(torchZip(bytes))).toContain(message);
});

test.each([
  ['longer than its storage', { shape: [5] }, 'needs 5 elements of its storage, which has 4'],
  ['behind the end of its storage', { offset: 1 }, 'needs 5 elements of its storage'],
  ['with strides out of its storage', { shape: [2, 2], strides: [3, 1] }, 'needs 5 elements of its storage'],
  ['with a negative stride', { shape: [2], strides: [-1], offset: 3 }, 'has offset 3 and strides [-1]'],
  ['with a negative offset', { offset: -1 }, 'has offset -1'],
  ['with a negative side', { shape: [-4] }, 'of shape [-4] is not possible here'],
  ['with fewer strides than sides', { shape: [2, 2] }, 'of shape [2, 2] has 1 strides'],
  ['of 2^62 elements', { shape: [2 ** 31 - 1, 2 ** 31 - 1], strides: [0, 0] }, 'is not possible here'],
  [
    'that repeats one number to fill the memory',
    { shape: [2 ** 29], strides: [0] },
    'repeats the 4 elements',
  ],
])('a tensor %s is refused', async (_, parts, message) => {
  expect(await complaintAbout(torchZip(stateDict(parts)))).toContain(message);
});

test('a shape with more sides than PyTorch has is refused', async () => {
  const shape = new Array<number>(65).fill(1);
  expect(await complaintAbout(torchZip(stateDict({ shape, strides: shape })))).toContain(
    'arguments that PyTorch',
  );
});

test('two tensors of the same path are ambiguous', async () => {
  const inner = join(OP.EMPTY_DICT, text('weight'), tensor(), OP.SETITEM);
  const outer = pickle(OP.EMPTY_DICT, text('a.weight'), tensor(), OP.SETITEM, text('a'), inner, OP.SETITEM);
  expect(await complaintAbout(torchZip(outer))).toContain('file.pth has two tensors called a.weight');
});
