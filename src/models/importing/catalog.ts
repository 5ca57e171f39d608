/** Accuracy on ImageNet-1k's validation set as its authors measured it, top-1 in percent. */
export interface PublishedAccuracy {
  readonly knn: number;
  readonly linear: number;
  /** Where the numbers stand. */
  readonly source: string;
}

/** A checkpoint that its authors publish, and what is known of it without looking into it. */
export interface CatalogEntry {
  /** As `dino models pull` takes it; also the installed model's name. */
  readonly name: string;
  /** One line for people. */
  readonly title: string;
  /** The backbone's weights. */
  readonly url: string;
  /** The same weights on the Hugging Face hub, where they are. */
  readonly hub?: string;
  /** What the file must turn out to hold. */
  readonly expected: { readonly family: string; readonly variant: string; readonly patchSize: number };
  readonly licence: string;
  readonly licenceUrl: string;
  readonly published: PublishedAccuracy;
}

/** Everything the catalogue knows is below one of these, so that a mirror can take their place. */
export const PUBLIC_BASES = [
  'https://dl.fbaipublicfiles.com/dino/',
  'https://dl.fbaipublicfiles.com/dinov2/',
  'https://huggingface.co/',
] as const;

type Row = readonly [name: string, title: string, file: string, hub: string, knn: number, linear: number];

/** Names of files, of repositories of `facebook` on the hub, and accuracies: README of github.com/facebookresearch/dino. */
const DINO: readonly Row[] = [
  ['dino-vits16', 'ViT-S/16', 'dino_deitsmall16', 'dino-vits16', 74.5, 77.0],
  ['dino-vits8', 'ViT-S/8', 'dino_deitsmall8', 'dino-vits8', 78.3, 79.7],
  ['dino-vitb16', 'ViT-B/16', 'dino_vitbase16', 'dino-vitb16', 76.1, 78.2],
  ['dino-vitb8', 'ViT-B/8', 'dino_vitbase8', 'dino-vitb8', 77.4, 80.1],
  ['dino-resnet50', 'ResNet-50', 'dino_resnet50', '', 67.5, 75.3],
  ['dino-xcit-small-12-p16', 'XCiT-S12/16', 'dino_xcit_small_12_p16', '', 76.0, 77.8],
  ['dino-xcit-small-12-p8', 'XCiT-S12/8', 'dino_xcit_small_12_p8', '', 77.1, 79.2],
  ['dino-xcit-medium-24-p16', 'XCiT-M24/16', 'dino_xcit_medium_24_p16', '', 76.4, 78.8],
  ['dino-xcit-medium-24-p8', 'XCiT-M24/8', 'dino_xcit_medium_24_p8', '', 77.9, 80.3],
];

/** The same of README of github.com/facebookresearch/dinov2. */
const DINOV2: readonly Row[] = [
  ['dinov2-vits14', 'ViT-S/14', 'dinov2_vits14', 'dinov2-small', 79.0, 81.1],
  ['dinov2-vitb14', 'ViT-B/14', 'dinov2_vitb14', 'dinov2-base', 82.1, 84.5],
  ['dinov2-vitl14', 'ViT-L/14', 'dinov2_vitl14', 'dinov2-large', 83.5, 86.3],
  ['dinov2-vitg14', 'ViT-g/14', 'dinov2_vitg14', 'dinov2-giant', 83.5, 86.5],
  [
    'dinov2-vits14-reg4',
    'ViT-S/14, 4 registers',
    'dinov2_vits14_reg4',
    'dinov2-with-registers-small',
    79.1,
    80.9,
  ],
  [
    'dinov2-vitb14-reg4',
    'ViT-B/14, 4 registers',
    'dinov2_vitb14_reg4',
    'dinov2-with-registers-base',
    82.0,
    84.6,
  ],
  [
    'dinov2-vitl14-reg4',
    'ViT-L/14, 4 registers',
    'dinov2_vitl14_reg4',
    'dinov2-with-registers-large',
    83.8,
    86.7,
  ],
  [
    'dinov2-vitg14-reg4',
    'ViT-g/14, 4 registers',
    'dinov2_vitg14_reg4',
    'dinov2-with-registers-giant',
    83.7,
    87.1,
  ],
];

const WIDTHS: Record<string, string> = { s: 'vit_small', b: 'vit_base', l: 'vit_large', g: 'vit_giant2' };

/** The published models, in the order in which they are listed. */
export const CATALOG: readonly CatalogEntry[] = [
  ...DINO.map((row) => entry('dino', row)),
  ...DINOV2.map((row) => entry('dinov2', row)),
];

/** The entry with this name, or whose weights the hub's repository holds. */
export function findInCatalog(nameOrRepository: string): CatalogEntry | undefined {
  return CATALOG.find(({ name, hub }) => name === nameOrRepository || hub === nameOrRepository);
}

/** The address's path below the public base it belongs to: the path on a mirror. */
export function pathBelowBase(url: string): string {
  const base = PUBLIC_BASES.find((each) => url.startsWith(each));
  if (base === undefined) throw new Error(`${url} is below none of the public bases`);
  return url.slice(base.length);
}

function entry(version: 'dino' | 'dinov2', [name, title, file, hub, knn, linear]: Row): CatalogEntry {
  const repository = `https://github.com/facebookresearch/${version}`;
  // Models with and without registers share a folder.
  const folder = version === 'dino' ? `${file}_pretrain` : file.replace('_reg4', '');
  return {
    name,
    title: `${version === 'dino' ? 'DINO' : 'DINOv2'} ${title}`,
    url: `https://dl.fbaipublicfiles.com/${version}/${folder}/${file}_pretrain.pth`,
    hub: hub === '' ? undefined : `facebook/${hub}`,
    expected: expectation(name),
    licence: 'Apache-2.0',
    licenceUrl: `${repository}/blob/main/LICENSE`,
    published: { knn, linear, source: `${repository}#pretrained-models` },
  };
}

/** What the name promises: `dino-vits16` a vit_small with patches of 16 px. */
function expectation(name: string): CatalogEntry['expected'] {
  if (name === 'dino-resnet50') return { family: 'resnet', variant: 'resnet50', patchSize: 32 };
  const xcit = /^dino-(xcit-(?:small|medium)-\d+)-p(\d+)$/.exec(name);
  if (xcit !== null) {
    return { family: 'xcit', variant: xcit[1]!.replaceAll('-', '_'), patchSize: Number(xcit[2]) };
  }
  const [, version, width, patch, registers] = /^(dino|dinov2)-vit([sblg])(\d+)(?:-(reg\d))?$/.exec(name)!;
  return {
    family: version === 'dino' ? 'vit' : 'dinov2',
    variant: WIDTHS[width!]! + (registers === undefined ? '' : `_${registers}`),
    patchSize: Number(patch),
  };
}
