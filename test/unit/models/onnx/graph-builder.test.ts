import { Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '#dino/models/onnx/graph-builder.js';
import { lazy, noise, openGraph, run } from './sessions.js';

describe('GraphBuilder', () => {
  it('computes what PyTorch calls a linear layer, on any leading axes', async () => {
    const g = new GraphBuilder({ name: 'linear' });
    g.input('x', 'float32', ['a', 'b', 2]);
    const weight = lazy(Float32Array.of(1, 2, 3, 4, 5, 6), 3, 2);
    g.linear('layer', 'x', weight, lazy(Float32Array.of(10, 20, 30), 3));
    g.linear('plain', 'x', weight);
    g.output('layer.out', ['a', 'b', 3]);
    g.output('plain.out', ['a', 'b', 3]);
    const outputs = await run(await openGraph(g), 'x', Float32Array.of(1, 0, 1, 1), [2, 1, 2]);
    expect(outputs).toEqual({
      'layer.out': Float32Array.of(11, 23, 35, 13, 27, 41),
      'plain.out': Float32Array.of(1, 3, 5, 3, 7, 11),
    });
  });

  it('has LayerNorm over the last axis and GELU in its exact form', async () => {
    const g = new GraphBuilder({ name: 'norm' });
    g.input('x', 'float32', ['n', 4]);
    g.layerNorm('norm', 'x', lazy(Float32Array.of(1, 2, 1, 1), 4), lazy(Float32Array.of(0, 0, 5, 0), 4), 0);
    g.output('norm.out', ['n', 4]);
    g.output(g.gelu('act', 'x'), ['n', 4]);
    const outputs = await run(await openGraph(g), 'x', Float32Array.of(1, -1, 1, -1), [1, 4]);
    expect([...outputs['norm.out']!].map((value) => value.toFixed(4))).toEqual([
      '1.0000',
      '-2.0000',
      '6.0000',
      '-1.0000',
    ]);
    // Phi(1) = 0.8413447; the tanh form would give 0.8412.
    expect(outputs['act.gelu']![0]).toBeCloseTo(0.8413447, 6);
    expect(outputs['act.gelu']![1]).toBeCloseTo(-0.1586553, 6);
  });

  it('shares constants, and writes attributes as whole numbers, numbers, lists and text', async () => {
    const g = new GraphBuilder({ name: 'constants' });
    g.input('x', 'float32', [1, 1, 2, 2]);
    expect(g.ints(0, -1)).toBe(g.ints(0, -1));
    expect(g.int(1)).not.toBe(g.ints(1));
    expect(g.float(0.5)).not.toBe(g.floats(0.5));
    const scales = g.floats(1, 1, 2, 2);
    g.op('Resize', ['x', '', scales], {
      out: 'large',
      attributes: {
        mode: 'cubic',
        cubic_coeff_a: { float: -1 },
        coordinate_transformation_mode: 'asymmetric',
      },
    });
    g.op('Transpose', ['large'], { out: 'turned', attributes: { perm: [0, 1, 3, 2] } });
    g.op('LeakyRelu', ['turned'], { out: 'y', attributes: { alpha: 0.25 } });
    g.opMany('Split', ['y', g.ints(1, 3)], { outs: ['row', 'rest'], attributes: { axis: 2 } });
    g.op('Reshape', ['row', g.ints(-1)], { out: 'flat' });
    g.output('flat', [4]);
    const { flat } = await run(await openGraph(g), 'x', Float32Array.of(4, 8, -8, 0), [1, 1, 2, 2]);
    expect(flat![0]).toBe(4);
    expect(flat![2]).toBe(-2);
  });

  it('refuses two values of one name, and values that nothing has made', () => {
    const g = new GraphBuilder({ name: 'faults' });
    g.input('x', 'float32', [1]);
    g.op('Abs', ['x'], { out: 'y' });
    expect(() => g.op('Neg', ['x'], { out: 'y' })).toThrow('two values of the graph are called y');
    expect(() => g.weight('x', lazy(noise(1, 1), 1))).toThrow('two values of the graph are called x');
    expect(() => g.op('Add', ['y', 'z'], { out: 'sum' })).toThrow(
      'Add sum takes z, which nothing before it makes',
    );
    expect(() => g.output('z', [1])).toThrow('the output z is made by no node');
  });

  it('takes bytes as pixels and keeps axes dynamic', async () => {
    const g = new GraphBuilder({ name: 'bytes' });
    g.input('pixels', 'uint8', ['batch', 'height', 3]);
    g.op('Cast', ['pixels'], { out: 'y', attributes: { to: 1 } });
    g.output('y', ['batch', 'height', 3]);
    const session = await openGraph(g);
    for (const [batch, height] of [
      [1, 2],
      [3, 1],
      [0, 4],
    ] as const) {
      const { y } = await session.run({
        pixels: new Tensor('uint8', new Uint8Array(batch * height * 3).fill(200), [batch, height, 3]),
      });
      expect(y!.dims).toEqual([batch, height, 3]);
      expect([...(y!.data as Float32Array)].every((value) => value === 200)).toBe(true);
    }
  });

  it('loads no weight before the model is written, and each one once', async () => {
    const loads: string[] = [];
    const counted = (name: string, ...shape: number[]) => ({
      shape,
      load: async () => {
        loads.push(name);
        return noise(
          shape.reduce((a, b) => a * b),
          1,
        );
      },
    });
    const g = new GraphBuilder({ name: 'lazy', precision: 'int8' });
    g.input('x', 'float32', ['n', 8]);
    g.linear('first', 'x', counted('weight', 4, 8), counted('bias', 4));
    g.output('first.out', ['n', 4]);
    expect(loads).toEqual([]);
    await openGraph(g);
    expect(loads.sort()).toEqual(['bias', 'weight']);
  });

  it('says which weight is not of the shape it promised', async () => {
    const g = new GraphBuilder({ name: 'short' });
    g.weight('w', { shape: [2, 3], load: async () => noise(5, 1) });
    await expect(openGraph(g)).rejects.toThrow('w has 20 bytes, not 24');
  });
});
