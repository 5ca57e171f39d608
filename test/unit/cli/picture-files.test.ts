import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { planPictures } from '#dino/cli/picture-files.js';

function files(...names: string[]) {
  return names.map((name) => ({ path: join('in', name), name, size: 1 }));
}

describe('where pictures go', () => {
  it('is beside each other as the images are', () => {
    expect(Object.fromEntries(planPictures(files('a.jpg', 'b/c.webp', 'b/d.e.png'), 'out'))).toEqual({
      [join('in', 'a.jpg')]: join('out', 'a.png'),
      [join('in', 'b', 'c.webp')]: join('out', 'b', 'c.png'),
      [join('in', 'b', 'd.e.png')]: join('out', 'b', 'd.e.png'),
    });
  });

  it('keeps the extension only of images that need it to stay apart', () => {
    const plan = planPictures(files('a.jpg', 'a.png', 'b.jpg'), 'out');
    expect([...plan.values()]).toEqual(['a.jpg.png', 'a.png.png', 'b.png'].map((name) => join('out', name)));
  });

  it('is never where an image is', () => {
    expect(() => planPictures(files('a.png'), 'in')).toThrow(/a\.png would be overwritten/);
  });

  it('is never the same for two images', () => {
    const two = [
      { path: 'one/a.jpg', name: 'a.jpg', size: 1 },
      { path: 'two/a.jpg', name: 'a.jpg', size: 1 },
    ];
    expect(() => planPictures(two, 'out')).toThrow('one/a.jpg and two/a.jpg would both be written');
  });
});
