import { describe, expect, it } from 'vitest';
import { CheckpointError } from '#dino/models/checkpoints/checkpoint-error.js';
import { GraphBuilder, type Precision } from '#dino/models/onnx/graph-builder.js';
import { writeModel } from '#dino/models/onnx/write-model.js';
import { cosine, lazy, noise, openGraph, run } from './sessions.js';
import { temporaryFolder } from './temporary-folder.js';

const [INPUTS, OUTPUTS] = [96, 64];
const weight = noise(OUTPUTS * INPUTS, 1);
const bias = noise(OUTPUTS, 2);

function layer(precision: Precision): GraphBuilder {
  const g = new GraphBuilder({ name: 'layer', precision });
  g.input('x', 'float32', ['batch', 'tokens', INPUTS]);
  g.linear('layer', 'x', lazy(weight, OUTPUTS, INPUTS), lazy(bias, OUTPUTS));
  g.output('layer.out', ['batch', 'tokens', OUTPUTS]);
  return g;
}

/** x W^T + b in double precision. */
function exact(x: Float32Array): Float32Array {
  const rows = x.length / INPUTS;
  return Float32Array.from({ length: rows * OUTPUTS }, (_, index) => {
    const [row, output] = [Math.floor(index / OUTPUTS), index % OUTPUTS];
    let sum = bias[output]!;
    for (let i = 0; i < INPUTS; i++) sum += x[row * INPUTS + i]! * weight[output * INPUTS + i]!;
    return sum;
  });
}

async function outputOf(precision: Precision, x: Float32Array, batch = 1): Promise<Float32Array> {
  const session = await openGraph(layer(precision));
  return (await run(session, 'x', x, [batch, x.length / INPUTS / batch, INPUTS]))['layer.out']!;
}

describe('precisions of a linear layer', () => {
  it.each([
    ['fp32', 0.9999999, 4],
    ['fp16', 0.999999, 2],
    ['int8', 0.9995, 1],
  ] as const)(
    '%s: agrees with the exact product, in a file of the size it promises',
    async (precision, least, bytes) => {
      const x = noise(7 * INPUTS, 5);
      expect(cosine(await outputOf(precision, x), exact(x))).toBeGreaterThan(least);
      const file = await writeModel(layer(precision), await temporaryFolder());
      expect(file.precision).toBe(precision);
      expect(file.bytes).toBeGreaterThan(weight.length * bytes);
      expect(file.bytes).toBeLessThan(weight.length * bytes + 3000);
    },
  );

  it('int8: does not saturate where weights and activations are at their largest', async () => {
    const g = new GraphBuilder({ name: 'peaks', precision: 'int8' });
    g.input('x', 'float32', [1, INPUTS]);
    g.linear('layer', 'x', lazy(new Float32Array(INPUTS * 16).fill(1), 16, INPUTS));
    g.output('layer.out', [1, 16]);
    const { 'layer.out': out } = await run(await openGraph(g), 'x', new Float32Array(INPUTS).fill(2), [
      1,
      INPUTS,
    ]);
    for (const value of out!) expect(value / (2 * INPUTS)).toBeCloseTo(1, 2);
  });

  it('int8: gives a row the same whatever else is in its batch, rows of zeros included', async () => {
    const quiet = noise(3 * INPUTS, 6);
    const loud = noise(3 * INPUTS, 7).map((value) => value * 100);
    const alone = await outputOf('int8', quiet);
    const together = await outputOf(
      'int8',
      Float32Array.of(...quiet, ...loud, ...new Float32Array(3 * INPUTS)),
      3,
    );
    expect(together.subarray(0, alone.length)).toEqual(alone);
    const zeros = together.subarray(2 * alone.length);
    expect([...zeros.subarray(0, OUTPUTS)]).toEqual([...bias]);
  });

  it('fp16: keeps vectors and small matrices as float32, and says which weight is too large', async () => {
    const g = new GraphBuilder({ name: 'large', precision: 'fp16' });
    g.weight('vector', lazy(Float32Array.of(1e6), 1));
    const tensor = noise(2048, 1);
    tensor[77] = 1e6;
    g.weight('blocks.0.mlp.fc1.weight', lazy(tensor, 64, 32));
    const writing = writeModel(g, await temporaryFolder());
    await expect(writing).rejects.toThrow(CheckpointError);
    await expect(writing).rejects.toThrow(
      "the tensor blocks.0.mlp.fc1.weight holds 1000000, which float16 can't",
    );
  });
});
