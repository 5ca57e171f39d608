/** What the service is held against; `npm run bench` prints it and gates nothing. */
export interface Goal {
  readonly what: string;
  readonly limit: number;
  /** Which side of the limit is good. */
  readonly is: 'at least' | 'at most';
  readonly unit?: 'ms' | 's' | 'requests/s' | 'points';
}

/** The verb that measures each is the one whose report has it. */
export const GOALS = {
  overRuntime: {
    what: 'JPEG over HTTP to embedding, fp32, over ONNX Runtime alone on ready tensors: throughput',
    limit: 0.92,
    is: 'at least',
  },
  overTransformersJs: {
    what: 'the same, over transformers.js from files, same weights and precision',
    limit: 1.4,
    is: 'at least',
  },
  overPyTorch: {
    what: 'the same, over PyTorch, FastAPI and Uvicorn, same weights',
    limit: 1.4,
    is: 'at least',
  },
  int8: { what: 'int8-static over HTTP, over our own fp32: throughput', limit: 2.2, is: 'at least' },
  int8Knn: {
    what: 'int8-static against fp32, trained weights, real photos: change of the k-NN accuracy',
    limit: 0.3,
    is: 'at most',
    unit: 'points',
  },
  int8Cosine: {
    what: 'int8-static against fp32, trained weights, real photos: mean cosine',
    limit: 0.999,
    is: 'at least',
  },
  latencySpread: {
    what: 'latency at half of the peak load, p99 over p50, ViT-S/16',
    limit: 2,
    is: 'at most',
  },
  latencySpreadBundled: { what: 'the same, bundled model', limit: 2, is: 'at most' },
  eventLoopMs: {
    what: 'event-loop delay under full load, p99',
    limit: 20,
    is: 'at most',
    unit: 'ms',
  },
  searchOverBare: {
    what: 'search over HTTP by stored id, 100,000 vectors: p50 over the bare library call',
    limit: 3,
    is: 'at most',
  },
  searchRate: {
    what: 'search over HTTP by stored id, 100,000 vectors, on one core',
    limit: 2000,
    is: 'at least',
    unit: 'requests/s',
  },
  memoryGrowth: {
    what: 'memory after an hour at full load, over memory after a minute',
    limit: 1.05,
    is: 'at most',
  },
  startSeconds: {
    what: 'start to ready, bundled model, empty data folder',
    limit: 2,
    is: 'at most',
    unit: 's',
  },
} as const satisfies Record<string, Goal>;

export type GoalKey = keyof typeof GOALS;

export interface Judged {
  readonly goal: string;
  readonly value: string;
  readonly wanted: string;
  readonly met: 'yes' | 'no';
}

/** Rows of the table of goals, in their order, for those that were measured. */
export function judge(values: Partial<Record<GoalKey, number>>): Judged[] {
  return (Object.keys(GOALS) as GoalKey[]).flatMap((key) => {
    const value = values[key];
    if (value === undefined) return [];
    const { what, limit, is, unit }: Goal = GOALS[key];
    const met = is === 'at least' ? value >= limit : value <= limit;
    const unitText = unit === undefined ? '' : ` ${unit}`;
    return {
      goal: what,
      value: short(value, limit) + unitText,
      wanted: `${is} ${limit}${unitText}`,
      met: met ? 'yes' : 'no',
    };
  });
}

/** Digits enough to tell the value from its limit: nothing is rounded to the good side unseen. */
function short(value: number, limit: number): string {
  const digits = String(limit).split('.')[1]?.length ?? 0;
  return value.toFixed(limit >= 100 ? 0 : digits + 2);
}
