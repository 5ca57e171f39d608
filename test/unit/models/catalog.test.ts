import { describe, expect, it } from 'vitest';
import { CATALOG, findInCatalog, pathBelowBase } from '#dino/models/importing/catalog.js';
import { modelName } from '#dino/models/manifest.js';

describe('the catalogue', () => {
  it('has the names that were promised, each once', () => {
    const names = CATALOG.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual([
      'dino-vits16',
      'dino-vits8',
      'dino-vitb16',
      'dino-vitb8',
      'dino-resnet50',
      'dino-xcit-small-12-p16',
      'dino-xcit-small-12-p8',
      'dino-xcit-medium-24-p16',
      'dino-xcit-medium-24-p8',
      'dinov2-vits14',
      'dinov2-vitb14',
      'dinov2-vitl14',
      'dinov2-vitg14',
      'dinov2-vits14-reg4',
      'dinov2-vitb14-reg4',
      'dinov2-vitl14-reg4',
      'dinov2-vitg14-reg4',
    ]);
    for (const name of names) expect(modelName.safeParse(name).success).toBe(true);
  });

  it.each([
    ['dino-vits16', 74.5, 77.0],
    ['dino-vits8', 78.3, 79.7],
    ['dino-vitb16', 76.1, 78.2],
    ['dino-vitb8', 77.4, 80.1],
    ['dino-resnet50', 67.5, 75.3],
  ])('has the published accuracy of %s', (name, knn, linear) => {
    expect(findInCatalog(name)!.published).toMatchObject({ knn, linear });
  });

  it.each(CATALOG.map((entry) => [entry.name, entry] as const))(
    'says where %s is, what it holds and whose it is',
    (_, { url, expected, licence, licenceUrl, published }) => {
      expect(url).toMatch(/^https:\/\/dl\.fbaipublicfiles\.com\/dino(v2)?\/\w+\/\w+_pretrain\.pth$/);
      expect(['vit', 'resnet', 'xcit', 'dinov2']).toContain(expected.family);
      expect([8, 14, 16, 32]).toContain(expected.patchSize);
      expect(licence).toBe('Apache-2.0');
      expect(licenceUrl).toMatch(/^https:\/\/github\.com\/facebookresearch\/dino(v2)?\/blob\/main\/LICENSE$/);
      expect(published.source).toMatch(/^https:\/\/github\.com\/facebookresearch\/dino(v2)?#/);
      expect(published.linear).toBeGreaterThan(published.knn);
    },
  );

  it('has the addresses of the original README', () => {
    const base = 'https://dl.fbaipublicfiles.com/';
    for (const [name, path] of [
      ['dino-vits8', 'dino/dino_deitsmall8_pretrain/dino_deitsmall8_pretrain.pth'],
      ['dino-vitb16', 'dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth'],
      ['dino-resnet50', 'dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth'],
      ['dino-xcit-medium-24-p8', 'dino/dino_xcit_medium_24_p8_pretrain/dino_xcit_medium_24_p8_pretrain.pth'],
      ['dinov2-vitg14', 'dinov2/dinov2_vitg14/dinov2_vitg14_pretrain.pth'],
      ['dinov2-vits14-reg4', 'dinov2/dinov2_vits14/dinov2_vits14_reg4_pretrain.pth'],
    ] as const) {
      expect(findInCatalog(name)!.url).toBe(base + path);
    }
  });

  it('knows the same weights on the hub', () => {
    expect(findInCatalog('facebook/dino-vits16')!.name).toBe('dino-vits16');
    expect(findInCatalog('facebook/dinov2-with-registers-small')!.name).toBe('dinov2-vits14-reg4');
    expect(findInCatalog('facebook/other')).toBeUndefined();
  });

  it('knows the path of an address on a mirror', () => {
    expect(pathBelowBase(findInCatalog('dino-vits16')!.url)).toBe(
      'dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth',
    );
    expect(pathBelowBase('https://huggingface.co/facebook/dino-vits16/resolve/main/config.json')).toBe(
      'facebook/dino-vits16/resolve/main/config.json',
    );
    expect(() => pathBelowBase('https://example.org/x')).toThrow(/none of the public bases/);
  });
});
