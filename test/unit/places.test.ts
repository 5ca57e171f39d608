import { describe, expect, it } from 'vitest';
import { Places } from '#dino/inference/places.js';

describe('Places', () => {
  it('are for all images of a request or for none, and are given back', async () => {
    let refusals = 0;
    const places = new Places(5, () => (refusals += 1));
    let leave!: () => void;
    const staying = places.hold(3, () => new Promise<void>((resolve) => (leave = resolve)));
    const refused = { code: 'overloaded', retryAfterSeconds: 1 };
    await expect(places.hold(3, async () => 'in')).rejects.toMatchObject(refused);
    await expect(places.hold(2, async () => 'in')).resolves.toBe('in');
    const failing = places.hold(2, async () => {
      throw new Error('broken');
    });
    await expect(failing).rejects.toThrow('broken');
    leave();
    await staying;
    await expect(places.hold(5, async () => 'in')).resolves.toBe('in');
    await expect(places.hold(6, async () => 'in')).rejects.toMatchObject(refused);
    expect(refusals).toBe(2);
  });
});
