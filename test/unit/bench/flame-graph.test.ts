import { describe, expect, it } from 'vitest';
import { drawFlames, placeOf, readProfile } from '../../bench/flame-graph.js';

const call = (id: number, functionName: string, url: string, children: number[] = []) => ({
  id,
  callFrame: { functionName, url },
  children,
});
const PROFILE = JSON.stringify({
  nodes: [
    call(1, '(root)', '', [2, 3, 6]),
    call(2, '(idle)', ''),
    call(3, 'handle', 'file:///home/someone/dino/dist/http/handler.js', [4, 5]),
    call(4, '', 'file:///home/someone/dino/node_modules/@scope/parser/lib/deep/parse.js'),
    call(5, '', 'file:///home/someone/dino/node_modules/@scope/parser/lib/other.js'),
    call(6, 'a<b', 'node:internal/timers'),
  ],
  samples: [6, 2, 3, 4, 5, 2, 6],
  timeDeltas: [5000, 1000, 2000, 3000, 1000, 1000, 9000],
});

describe('a flame graph', () => {
  const flames = readProfile(PROFILE, { from: 6, to: 13 });

  it('has the time of each function in the window, idle time apart, and one frame for calls of the same', () => {
    expect(flames.idle).toBeCloseTo(2 / 8);
    expect(flames.root.children).toEqual([
      {
        name: 'handle',
        place: 'http/handler.js',
        self: 2000,
        children: [{ name: '(anonymous)', place: '@scope/parser', self: 4000, children: [] }],
      },
      { name: 'a<b', place: 'node:internal/timers', self: 0, children: [] },
    ]);
    expect(() => readProfile(PROFILE, { from: 100, to: 200 })).toThrow('nothing of that time');
  });

  it('is drawn as wide as the time, without what it did not spend', () => {
    const svg = drawFlames(flames, 'The main thread');
    expect(svg).toContain('The main thread; idle 25 % of the time');
    expect(svg).toContain('<title>handle (http/handler.js): 100.0 %</title>');
    expect(svg).toContain('<title>(anonymous) (@scope/parser): 66.7 %</title>');
    expect(svg).toContain('width="800"');
    expect(svg).not.toContain('a<b');
    expect(svg).not.toContain('someone');
  });

  it('names places without the paths of the machine', () => {
    expect(placeOf('node:fs')).toBe('node:fs');
    expect(placeOf('/srv/node_modules/express/lib/x.js')).toBe('express');
    expect(placeOf('file:///srv/app/dist/vision/decoder.js')).toBe('vision/decoder.js');
  });
});
