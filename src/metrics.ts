import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/**
 * What `/metrics` shows. `nodejs_eventloop_lag_p99_seconds` is prom-client's own: the 99th percentile of the
 * main thread's event-loop delay since the scrape before.
 */
export class Metrics {
  readonly registry = new Registry();
  readonly httpSeconds = new Histogram({
    name: 'dino_http_request_duration_seconds',
    help: 'Time from the request line to the last byte of the answer.',
    labelNames: ['method', 'route', 'status'] as const,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [this.registry],
  });
  readonly rejected = new Counter({
    name: 'dino_rejected_total',
    help: 'Requests and images answered with 429, by what was full.',
    labelNames: ['reason'] as const,
    registers: [this.registry],
  });
  readonly batchSize = new Histogram({
    name: 'dino_inference_batch_size',
    help: 'Images per run of the model.',
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
    registers: [this.registry],
  });
  readonly inferenceSeconds = new Histogram({
    name: 'dino_inference_duration_seconds',
    help: 'Time of one run of the model, in its worker.',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });
  readonly queueSeconds = new Histogram({
    name: 'dino_queue_duration_seconds',
    help: 'Time an image waited for a worker.',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30],
    registers: [this.registry],
  });
  readonly decodeSeconds = new Histogram({
    name: 'dino_decode_duration_seconds',
    help: 'Time to decode and scale an image, without its wait for a decoder.',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.registry],
  });
  readonly decodeQueueSeconds = new Histogram({
    name: 'dino_decode_queue_duration_seconds',
    help: 'Time an image waited for a decoder.',
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30],
    registers: [this.registry],
  });

  readonly embeddingCache = new Counter({
    name: 'dino_embedding_cache_total',
    help: 'Embeddings asked for, by whether they were kept (hit), being made (shared) or had to be made (miss).',
    labelNames: ['outcome'] as const,
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 5 });
  }

  /** Shows the jobs that wait and run at each scrape. */
  observeJobs(list: () => readonly { readonly state: string }[]): void {
    new Gauge({
      name: 'dino_jobs',
      help: 'Jobs that are queued or running.',
      labelNames: ['state'] as const,
      registers: [this.registry],
      collect() {
        const jobs = list();
        for (const state of ['queued', 'running']) {
          this.set({ state }, jobs.filter((job) => job.state === state).length);
        }
      },
    });
  }

  /** Shows the size of the cache of embeddings at each scrape. */
  observeEmbeddingCache(cache: { readonly entries: number; readonly bytes: number }): void {
    new Gauge({
      name: 'dino_embedding_cache_entries',
      help: 'Embeddings that are kept.',
      registers: [this.registry],
      collect() {
        this.set(cache.entries);
      },
    });
    new Gauge({
      name: 'dino_embedding_cache_bytes',
      help: 'Memory of the embeddings that are kept.',
      registers: [this.registry],
      collect() {
        this.set(cache.bytes);
      },
    });
  }

  /** Shows at each scrape how many requests are inside. */
  observeRequestsInProgress(count: () => number): void {
    this.#observe('dino_http_requests_in_progress', 'Requests that hold a place at the door.', count);
  }

  /** Shows the lengths of the queues at each scrape. */
  observeQueueLengths(lengths: { inference: () => number; decode: () => number }): void {
    this.#observe('dino_queue_length', 'Images waiting for inference.', lengths.inference);
    this.#observe('dino_decode_queue_length', 'Images waiting for a decoder.', lengths.decode);
  }

  #observe(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(value());
      },
    });
  }
}
