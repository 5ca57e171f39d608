import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import supertest, { type Response } from 'supertest';
import { compose, type Service } from '#dino/composition.js';
import { loadConfig, type Config } from '#dino/config.js';
import { checkExchange } from './openapi-check.js';

export interface Call {
  readonly query?: Record<string, string | number | boolean>;
  readonly json?: unknown;
  /** A raw body. */
  readonly raw?: Uint8Array | string;
  /** Content type of the raw body; default `image/jpeg`. */
  readonly type?: string;
  /** Multipart files and text fields. */
  readonly files?: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  readonly fields?: Record<string, string>;
  readonly accept?: string;
  readonly headers?: Record<string, string>;
}

/** The real application on a temporary folder; every exchange is held against openapi.json. */
export class TestService {
  readonly dataDir: string;
  #config: Partial<Record<keyof Config, unknown>>;
  #service: Service;

  private constructor(dataDir: string, config: Partial<Record<keyof Config, unknown>>, service: Service) {
    this.dataDir = dataDir;
    this.#config = config;
    this.#service = service;
  }

  static async start(config: Partial<Record<keyof Config, unknown>> = {}): Promise<TestService> {
    const dataDir = await mkdtemp(join(tmpdir(), 'dino-test-'));
    return new TestService(dataDir, config, await open(dataDir, config));
  }

  get app(): Service['app'] {
    return this.#service.app;
  }

  get jobs(): Service['jobs'] {
    return this.#service.jobs;
  }

  /**
   * Closes and opens again on the same folder.
   *
   * @param changes settings from now on; undefined: the default
   * @param meanwhile while it is closed
   */
  async restart(
    changes: Partial<Record<keyof Config, unknown>> = {},
    meanwhile?: () => Promise<unknown>,
  ): Promise<void> {
    await this.#service.close();
    await meanwhile?.();
    this.#config = { ...this.#config, ...changes };
    this.#service = await open(this.dataDir, this.#config);
  }

  async close(): Promise<void> {
    await this.#service.close();
    await rm(this.dataDir, { recursive: true, force: true });
  }

  async call(
    method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE',
    path: string,
    call: Call = {},
  ): Promise<Response> {
    const verb = method.toLowerCase() as 'get' | 'put' | 'post' | 'patch' | 'delete';
    let request = supertest(this.#service.app)
      [verb](path)
      .query(call.query ?? {});
    if (call.accept !== undefined) request = request.set('Accept', call.accept);
    for (const [name, value] of Object.entries(call.headers ?? {})) request = request.set(name, value);
    if (call.json !== undefined) request = request.send(call.json as object);
    if (call.raw !== undefined) {
      const body = typeof call.raw === 'string' ? call.raw : Buffer.from(call.raw);
      request = request.set('Content-Type', call.type ?? 'image/jpeg').send(body as string);
    }
    for (const { name, bytes } of call.files ?? [])
      request = request.attach('images', Buffer.from(bytes), name);
    for (const [name, value] of Object.entries(call.fields ?? {})) request = request.field(name, value);
    const response = await request;
    const contentType = response.headers['content-type'];
    // superagent reads only application/json by itself.
    const body: unknown = contentType?.startsWith('application/problem+json')
      ? readProblem(response)
      : response.body;
    response.body = body;
    checkExchange({ method, path, status: response.status, contentType, body, requestJson: call.json });
    return response;
  }
}

function readProblem(response: Response): unknown {
  return response.text ? JSON.parse(response.text) : response.body;
}

/** Each service is a new one on this machine, and would measure how the model shares the cores. */
const QUIET = { logLevel: 'silent', embeddingCache: 'off', inferenceWorkers: 1 };

function open(dataDir: string, config: Partial<Record<keyof Config, unknown>>): Promise<Service> {
  return compose(loadConfig({}, { ...QUIET, dataDir, ...config }));
}
