import { expect, test } from 'vitest';
import { OP } from '#dino/models/checkpoints/pickle/opcodes.js';
import { join, pickle, safetensors, stateDict, torchZip, uint64, zip } from './builders.js';
import { complaintAbout, readBytes } from './fixtures.js';

const PICKLE = { name: 'archive/data.pkl', data: stateDict() };

test('a zip bomb is refused before it is unpacked: a part may not be larger than its tensor', async () => {
  const bomb = { name: 'archive/data/0', data: Buffer.alloc(64 * 2 ** 20), deflate: true };
  expect(await complaintAbout(zip([PICKLE, bomb]))).toContain(
    'part archive/data/0 unpacks to 67108864 bytes and should have 16',
  );
});

test('a zip bomb that lies about its size is stopped where its tensor ends', async () => {
  const bomb = { name: 'archive/data/0', data: Buffer.alloc(64 * 2 ** 20), deflate: true, announcedSize: 16 };
  expect(await complaintAbout(zip([PICKLE, bomb]))).toContain('too many bytes in the stream');
});

test('a pickle larger than any checkpoint needs is not unpacked', async () => {
  const large = { name: 'archive/data.pkl', data: Buffer.alloc(65 * 2 ** 20), deflate: true };
  expect(await complaintAbout(zip([large]))).toContain(
    '(archive/data.pkl) is damaged: it unpacks to 68157440 bytes',
  );
});

test('a flipped bit in a tensor is found by its checksum', async () => {
  const bytes = torchZip(stateDict(), Buffer.from('0123456789abcdef'));
  bytes[bytes.indexOf('89ab')]! ^= 1;
  expect(await complaintAbout(bytes)).toBe(
    'file.pth (archive/data/0) is damaged: its contents do not match their checksum. Download or copy it again.',
  );
});

test.each([
  ['a storage that is not there', zip([PICKLE]), 'its part archive/data/0 is missing'],
  [
    'a storage shorter than announced',
    torchZip(stateDict(), Buffer.alloc(12)),
    'unpacks to 12 bytes and should have 16',
  ],
  [
    'a storage of another type than announced',
    torchZip(stateDict({ storage: 'DoubleStorage' })),
    'unpacks to 16 bytes and should have 32',
  ],
  ['two parts of the same name', zip([PICKLE, PICKLE]), 'two parts called archive/data.pkl'],
  ['an encrypted part', zip([{ ...PICKLE, flags: 1 }]), 'zip archive is not valid'],
  ['a part of another compression', zip([{ ...PICKLE, method: 14 }]), 'compressed by method 14'],
  ['a part outside its folder', zip([{ name: '../data.pkl', data: stateDict() }]), 'invalid relative path'],
  [
    'an unknown byte order',
    zip([PICKLE, { name: 'archive/byteorder', data: Buffer.from('middle') }]),
    'its byte order is "middle"',
  ],
  [
    'another archive',
    zip([{ name: 'notes.txt', data: Buffer.from('hello') }]),
    "not one of PyTorch's torch.save",
  ],
  ['an empty archive', zip([]), "not one of PyTorch's torch.save"],
])('%s is named', async (_, bytes, message) => {
  expect(await complaintAbout(bytes)).toContain(message);
});

test.each([
  ['nothing', '', 'is empty'],
  ['a pointer of Git LFS', 'version https://git-lfs.github.com/spec/v1\noid sha256:0', 'git lfs pull'],
  ['a web page', '\n<!DOCTYPE html><title>404</title>', 'is a web page'],
  ['a compressed file', '\x1f\x8b\x08\x00', 'Unpack it first'],
  ['text', 'these are not weights', 'is not a checkpoint'],
  ['a pickle of something else', pickle(OP.NONE).toString('latin1'), "not one of PyTorch's torch.save"],
])('%s is no checkpoint, and the answer says what it is', async (_, bytes, message) => {
  expect(await complaintAbout(Buffer.from(bytes, 'latin1'))).toContain(message);
});

const MAGIC = pickle(OP.LONG1, 10, Buffer.from('6cfc9c46f9206aa85019', 'hex'));
const HEADER = [MAGIC, pickle(OP.BININT2, 0xe9, 0x03), pickle(OP.EMPTY_DICT)];
const KEYS = pickle(OP.EMPTY_LIST, OP.SHORT_BINUNICODE, 1, '0', OP.APPEND);

test('the legacy format is read pickle by pickle', async () => {
  const storage = join(uint64(4n), Buffer.from(Float32Array.of(1, 2, 3, 4).buffer));
  const answer = await readBytes(join(...HEADER, stateDict(), KEYS, storage));
  expect(answer).toEqual({ weight: { dtype: 'float32', shape: [4], values: [1, 2, 3, 4] } });
});

test.each([
  ['another protocol', [MAGIC, pickle(OP.BININT1, 7)], 'its protocol is not the one of PyTorch'],
  [
    'another length',
    [...HEADER, stateDict(), KEYS, uint64(5n), Buffer.alloc(20)],
    'does not have the length',
  ],
  ['a negative length', [...HEADER, stateDict(), KEYS, uint64(2n ** 64n - 4n)], 'does not have the length'],
  ['a storage cut off', [...HEADER, stateDict(), KEYS, uint64(4n), Buffer.alloc(15)], 'is cut off'],
  ['no list of storages', [...HEADER, stateDict(), pickle(OP.NONE)], 'the list of its storages is missing'],
  [
    'a storage that is not listed',
    [...HEADER, stateDict(), pickle(OP.EMPTY_LIST)],
    'its storage 0 is missing',
  ],
  [
    'a list of other storages',
    [...HEADER, stateDict(), pickle(OP.EMPTY_LIST, OP.SHORT_BINUNICODE, 1, '1', OP.APPEND)],
    'the list of its storages does not fit',
  ],
])('a legacy file with %s is named', async (_, parts, message) => {
  expect(await complaintAbout(join(...parts))).toContain(message);
});

const WEIGHT = { dtype: 'F32', shape: [2], data_offsets: [0, 8] };

test('a safetensors file is read, with spaces behind its header', async () => {
  const header = `${JSON.stringify({ weight: WEIGHT })}     `;
  expect(await readBytes(safetensors(header, Buffer.from(Float32Array.of(1, 2).buffer)))).toEqual({
    weight: { dtype: 'float32', shape: [2], values: [1, 2] },
  });
});

test.each([
  [
    'a type that is not read',
    { weight: { ...WEIGHT, dtype: 'F8_E4M3' } },
    'the tensor weight of type F8_E4M3',
  ],
  [
    'a type that every JavaScript object has',
    { weight: { ...WEIGHT, dtype: 'toString' } },
    'of type toString',
  ],
  [
    'a shape that does not fit',
    { weight: { ...WEIGHT, shape: [3] } },
    'has 8 bytes, which do not fit its shape',
  ],
  ['a negative side', { weight: { ...WEIGHT, shape: [-2] } }, 'does not describe the tensor weight'],
  [
    'a shape beyond all numbers',
    { weight: { ...WEIGHT, shape: [2 ** 40, 2 ** 40] } },
    'do not fit its shape',
  ],
  [
    'a hole before a tensor',
    { weight: { ...WEIGHT, data_offsets: [8, 16] } },
    'does not begin where the one before',
  ],
  ['tensors on top of each other', { a: WEIGHT, b: WEIGHT }, 'the tensor b does not begin where'],
  ['offsets the wrong way round', { weight: { ...WEIGHT, data_offsets: [8, 0] } }, 'has -8 bytes'],
  [
    'fractional offsets',
    { weight: { ...WEIGHT, data_offsets: [0, 8.5] } },
    'does not describe the tensor weight',
  ],
  ['no description', { weight: null }, 'does not describe the tensor weight'],
  [
    'metadata that are no text',
    { weight: WEIGHT, __metadata__: { step: 1 } },
    'the metadata step in its header',
  ],
  ['a header that is a list', '[1]', 'is not a checkpoint'],
  ['a header that is not JSON', '{"weight":', 'its header is not JSON'],
  ['nothing but brackets', `{"a":${'['.repeat(200_000)}`, 'its header is not JSON'],
])('a safetensors file with %s is named', async (_, header, message) => {
  expect(await complaintAbout(safetensors(header, Buffer.alloc(8)))).toContain(message);
});

test.each([
  [
    'bytes that no tensor has',
    safetensors({ weight: WEIGHT }, Buffer.alloc(9)),
    '1 bytes at its end belong to no tensor',
  ],
  ['too few bytes', safetensors({ weight: WEIGHT }, Buffer.alloc(7)), 'is cut off'],
  ['a header longer than the file', join(uint64(1000n), '{}'), 'its header ends in the middle'],
  ['a header longer than the format allows', join(uint64(2n ** 63n), '{}'), 'is not a checkpoint'],
])('a safetensors file with %s is named', async (_, bytes, message) => {
  expect(await complaintAbout(bytes)).toContain(message);
});
