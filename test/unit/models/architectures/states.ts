import type { LazyTensor, StateDict } from '#dino/models/checkpoints/tensor.js';

export type Shapes = Record<string, readonly number[]>;

/** A tensor whose numbers are `first`, `first + 1` and so on. */
export function counting(shape: readonly number[], first = 0): LazyTensor {
  const length = shape.reduce((product, size) => product * size, 1);
  return {
    dtype: 'float32',
    shape,
    load: async () => Float32Array.from({ length }, (_, index) => first + index),
  };
}

/** Tensors of these shapes, none of which may be loaded: recognition looks at names and shapes alone. */
export function unread(shapes: Shapes): StateDict {
  return new Map(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { dtype: 'float32', shape, load: () => Promise.reject(new Error(`${name} was loaded`)) },
    ]),
  );
}

export function without(shapes: Shapes, ...names: string[]): Shapes {
  return Object.fromEntries(Object.entries(shapes).filter(([name]) => !names.includes(name)));
}

/** The tensors of a DINOv2 or DINOv3 backbone of the official names, as far as the families agree. */
export function transformer(options: {
  readonly dim: number;
  readonly depth: number;
  readonly patchSize: number;
  readonly mlp: Shapes;
  readonly qkvBias?: boolean;
}): Shapes {
  const { dim, depth, patchSize, mlp, qkvBias = true } = options;
  const shapes: Record<string, readonly number[]> = {
    cls_token: [1, 1, dim],
    mask_token: [1, dim],
    'patch_embed.proj.weight': [dim, 3, patchSize, patchSize],
    'patch_embed.proj.bias': [dim],
    'norm.weight': [dim],
    'norm.bias': [dim],
  };
  for (let index = 0; index < depth; index++) {
    const block: Shapes = {
      'norm1.weight': [dim],
      'norm1.bias': [dim],
      'attn.qkv.weight': [3 * dim, dim],
      ...(qkvBias && { 'attn.qkv.bias': [3 * dim] }),
      'attn.proj.weight': [dim, dim],
      'attn.proj.bias': [dim],
      'ls1.gamma': [dim],
      'norm2.weight': [dim],
      'norm2.bias': [dim],
      ...mlp,
      'ls2.gamma': [dim],
    };
    for (const [name, shape] of Object.entries(block)) shapes[`blocks.${index}.${name}`] = shape;
  }
  return shapes;
}

export function plainMlp(dim: number, width: number): Shapes {
  return {
    'mlp.fc1.weight': [width, dim],
    'mlp.fc1.bias': [width],
    'mlp.fc2.weight': [dim, width],
    'mlp.fc2.bias': [dim],
  };
}
