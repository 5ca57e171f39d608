import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import {
  encodeHead,
  FrameReader,
  PayloadRoom,
  readFrame,
  writeFrame,
  type Frame,
} from '#dino/inference/frames.js';

const header = { run: { text: 'größer', count: 2 } };
const parts = [Uint8Array.of(1, 2, 3), Uint8Array.of(), Uint8Array.of(255)];
const payload = Uint8Array.of(1, 2, 3, 255);

/** The frame twice, and one without a payload between. */
const bytes = Buffer.concat([
  encodeHead(header, 4),
  payload,
  encodeHead({}, 0),
  encodeHead(header, 4),
  payload,
]);

it('frames come through whole, wherever a stream cuts them', () => {
  for (let length = 1; length <= bytes.length; length++) {
    const frames: Frame<unknown>[] = [];
    const reader = new FrameReader((frame) => frames.push(frame));
    for (let at = 0; at < bytes.length; at += length) reader.push(bytes.subarray(at, at + length));
    const whole = { header, payload };
    expect(frames).toEqual([whole, { header: {}, payload: new Uint8Array() }, whole]);
  }
});

it('frames are written and read through a file descriptor, until it ends', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dino-frames-'));
  const path = join(folder, 'frames');
  const out = openSync(path, 'w');
  writeFrame(out, header, parts);
  writeFrame(out, {}, []);
  writeFrame(out, header, parts);
  closeSync(out);
  expect(await readFile(path)).toEqual(bytes);
  const fd = openSync(path, 'r');
  const room = new PayloadRoom();
  expect(readFrame(fd, room)).toEqual({ header, payload });
  expect(readFrame(fd, room)).toEqual({ header: {}, payload: new Uint8Array() });
  expect(readFrame(fd, room)).toEqual({ header, payload });
  expect(readFrame(fd, room)).toBeUndefined();
  closeSync(fd);
  await rm(folder, { recursive: true });
});

it('payloads lie in the same memory, which grows with the largest', () => {
  const room = new PayloadRoom();
  const large = room.take(8).fill(1);
  expect(room.take(3)).toEqual(Uint8Array.of(1, 1, 1));
  expect(room.take(8).buffer).toBe(large.buffer);
  expect(room.take(9)).toEqual(new Uint8Array(9));
});
