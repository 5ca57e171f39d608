import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CheckpointError } from '#dino/models/checkpoints/checkpoint-error.js';
import { seededRandom } from './builders.js';
import { EXPECTED, fixture, readBytes } from './fixtures.js';

const FILES = [
  'training.pth',
  'training-legacy.pth',
  'views-deflated.pth',
  'dtypes-protocol4.pth',
  'dtypes.safetensors',
];

test.each(Object.keys(EXPECTED))('%s cut off anywhere is a clear complaint', async (name) => {
  const bytes = readFileSync(fixture(name));
  for (let sixteenth = 0; sixteenth < 16; sixteenth++) {
    const answer = await readBytes(bytes.subarray(0, Math.floor((bytes.length * sixteenth) / 16)));
    expect(answer).toBeInstanceOf(CheckpointError);
    expect((answer as CheckpointError).message).toMatch(/(cut off|empty|damaged|not a checkpoint)/);
  }
});

test.each(FILES)(
  '%s with one byte less or one flipped anywhere is read or complained about',
  async (name) => {
    const bytes = readFileSync(fixture(name));
    const random = seededRandom(1);
    for (let round = 0; round < 150; round++) {
      const changed = Buffer.from(bytes);
      const changes = 1 + Math.floor(random() * 4);
      for (let change = 0; change < changes; change++) {
        changed[Math.floor(random() * changed.length)] = Math.floor(random() * 256);
      }
      const cut = random() < 0.2 ? Math.floor(random() * changed.length) : changed.length;
      // Throws when anything but a CheckpointError comes out.
      await readBytes(changed.subarray(0, cut));
    }
  },
);

test('flipped bits in the storages of an archive never change a number', async () => {
  const name = 'views.pth';
  const bytes = readFileSync(fixture(name));
  const random = seededRandom(2);
  for (let round = 0; round < 100; round++) {
    const changed = Buffer.from(bytes);
    changed[Math.floor(random() * changed.length)]! ^= 1 << Math.floor(random() * 8);
    const answer = await readBytes(changed);
    if (
      !(answer instanceof CheckpointError) &&
      Object.keys(answer).length === Object.keys(EXPECTED[name]!).length
    ) {
      const numbers = Object.values(answer).map(({ values }) => values);
      expect(numbers).toEqual(Object.values(EXPECTED[name]!).map(({ values }) => values));
    }
  }
});
