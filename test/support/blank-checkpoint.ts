import { open } from 'node:fs/promises';

type Shapes = Record<string, readonly number[]>;

/** The tensors of a ViT of DINO, by their official names. */
export function vitShapes({ width, depth, patch }: { width: number; depth: number; patch: number }): Shapes {
  const shapes: Shapes = {
    cls_token: [1, 1, width],
    pos_embed: [1, (224 / patch) ** 2 + 1, width],
    'patch_embed.proj.weight': [width, 3, patch, patch],
    'patch_embed.proj.bias': [width],
    'norm.weight': [width],
    'norm.bias': [width],
  };
  const linear = (name: string, from: number, to: number) => {
    shapes[`${name}.weight`] = [to, from];
    shapes[`${name}.bias`] = [to];
  };
  for (let block = 0; block < depth; block++) {
    for (const norm of ['norm1', 'norm2']) {
      shapes[`blocks.${block}.${norm}.weight`] = [width];
      shapes[`blocks.${block}.${norm}.bias`] = [width];
    }
    linear(`blocks.${block}.attn.qkv`, width, 3 * width);
    linear(`blocks.${block}.attn.proj`, width, width);
    linear(`blocks.${block}.mlp.fc1`, width, 4 * width);
    linear(`blocks.${block}.mlp.fc2`, 4 * width, width);
  }
  return shapes;
}

/** Writes a safetensors file of zeros: of any size in no time, since nobody writes the zeros. */
export async function writeBlankCheckpoint(path: string, shapes: Shapes): Promise<void> {
  let end = 0;
  const header = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const start = end;
      end += shape.reduce((product, side) => product * side, 4);
      return [name, { dtype: 'F32', shape, data_offsets: [start, end] }];
    }),
  );
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = await open(path, 'w');
  try {
    await file.write(Buffer.concat([length, text]));
    await file.truncate(8 + text.length + end);
  } finally {
    await file.close();
  }
}
