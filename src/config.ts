import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { PRECISION_CHOICES } from './models/choose-precision.js';
import { PREPROCESSING_MODES } from './vision/preprocessing-mode.js';

const PREFIX = 'DINO_';

const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
const list = z
  .union([z.array(z.string()), z.string().transform((text) => text.split(',').map((part) => part.trim()))])
  .transform((parts) => parts.filter((part) => part !== ''));

/**
 * Every setting there is. The environment variable's name is `DINO_` and the key in upper snake case;
 * the flag of `dino serve` is the key in kebab case; the key itself is what the file has. README's table
 * is checked against this one by a test.
 */
export const SETTINGS = {
  host: {
    meaning: 'address to listen on',
    range: 'host name or IP',
    fallback: '127.0.0.1',
    schema: z.string().min(1),
  },
  port: {
    meaning: 'port to listen on; 0 takes any free one',
    range: '0..65535',
    fallback: 8080,
    schema: integer(0, 65_535),
  },
  dataDir: {
    meaning: 'folder of the database, the originals, the graphs and the installed models',
    range: 'path',
    fallback: './data',
    schema: z.string().min(1),
  },
  modelsDir: {
    meaning: 'folder of the models that the service brings along',
    range: 'path',
    fallback: fileURLToPath(new URL('../models', import.meta.url)),
    schema: z.string().min(1),
  },
  model: {
    meaning: "the default model's name; it is always loaded",
    range: 'name',
    fallback: 'dino-vitmicro16-photos',
    schema: z.string().min(1),
  },
  precision: {
    meaning: 'precision of the default model; auto: the fastest that keeps its accuracy',
    range: PRECISION_CHOICES.join(', '),
    fallback: 'named',
    schema: z.enum(PRECISION_CHOICES),
  },
  apiKeys: {
    meaning: 'keys that may use /v1, comma-separated; none: open',
    range: 'list',
    fallback: [] as string[],
    schema: list,
  },
  providers: {
    meaning: 'ONNX Runtime execution providers, best first',
    range: 'list of cpu, cuda',
    fallback: ['cpu'],
    schema: list.pipe(z.array(z.enum(['cpu', 'cuda'])).min(1)),
  },
  inferenceWorkers: {
    meaning: 'processes per loaded model; 0: as many as are best, measured at its first opening',
    range: '0..64',
    fallback: 0,
    schema: integer(0, 64),
  },
  inferenceThreads: {
    meaning: 'ONNX Runtime threads per process; 0 shares the cores out',
    range: '0..256',
    fallback: 0,
    schema: integer(0, 256),
  },
  maxBatch: {
    meaning: 'images per inference at most',
    range: '1..256',
    fallback: 8,
    schema: integer(1, 256),
  },
  maxBatchPatches: {
    meaning: "patches per inference at most; 0: those of maxBatch images of the model's own size",
    range: '0..10000000',
    fallback: 0,
    schema: integer(0, 10_000_000),
  },
  decodeThreads: {
    meaning: 'images decoded at once; 0: one per core, three at most unless UV_THREADPOOL_SIZE is set',
    range: '0..256',
    fallback: 0,
    schema: integer(0, 256),
  },
  queueLimit: {
    meaning: 'images in progress, from decoding to features, before 429',
    range: '1..100000',
    fallback: 512,
    schema: integer(1, 100_000),
  },
  maxRequests: {
    meaning: 'requests in progress before 429',
    range: '1..100000',
    fallback: 128,
    schema: integer(1, 100_000),
  },
  maxBodyBytes: {
    meaning: 'size of a request body in bytes',
    range: '1024..4294967296',
    fallback: 64 * 1024 * 1024,
    schema: integer(1024, 2 ** 32),
  },
  maxImageBytes: {
    meaning: 'size of one image in bytes',
    range: '1024..1073741824',
    fallback: 32 * 1024 * 1024,
    schema: integer(1024, 2 ** 30),
  },
  maxImagePixels: {
    meaning: 'pixels of one image',
    range: '10000..1000000000',
    fallback: 50_000_000,
    schema: integer(10_000, 1_000_000_000),
  },
  maxImagesPerRequest: {
    meaning: 'images in one request',
    range: '1..1024',
    fallback: 64,
    schema: integer(1, 1024),
  },
  decodeTimeoutSeconds: {
    meaning: 'time to decode one image',
    range: '1..3600',
    fallback: 20,
    schema: integer(1, 3600),
  },
  preprocessing: {
    meaning: 'exact: as Pillow scales; fast: large JPEGs are decoded smaller',
    range: 'exact, fast',
    fallback: 'fast',
    schema: z.enum(PREPROCESSING_MODES),
  },
  embeddingCache: {
    meaning: 'where embeddings are kept, so that the same image again costs no inference',
    range: 'off, memory, disk',
    fallback: 'memory',
    schema: z.enum(['off', 'memory', 'disk']),
  },
  embeddingCacheBytes: {
    meaning: 'memory for kept embeddings in bytes, and as much again of disk',
    range: '65536..68719476736',
    fallback: 64 * 1024 * 1024,
    schema: integer(65_536, 2 ** 36),
  },
  compressAbove: {
    meaning: 'size in bytes from which JSON is compressed for clients that ask; 0: never',
    range: '0..1073741824',
    fallback: 8192,
    schema: integer(0, 2 ** 30),
  },
  exactBelow: {
    meaning: 'vectors up to which search scans all instead of using the graph',
    range: '0..10000000',
    fallback: 10_000,
    schema: integer(0, 10_000_000),
  },
  storeThreads: {
    meaning: 'threads that build graphs and share long scans; 0: one per core',
    range: '0..256',
    fallback: 0,
    schema: integer(0, 256),
  },
  shutdownSeconds: {
    meaning: 'time to finish what is in progress at shutdown',
    range: '1..3600',
    fallback: 30,
    schema: integer(1, 3600),
  },
  logLevel: {
    meaning: 'least severe message that is logged',
    range: 'fatal, error, warn, info, debug, trace, silent',
    fallback: 'info',
    schema: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
  },
} as const;

export type SettingKey = keyof typeof SETTINGS;
export type Config = { readonly [K in SettingKey]: z.infer<(typeof SETTINGS)[K]['schema']> };

/** A setting that is wrong; the message names it and says what it may be. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

/** `maxBatch` -> `DINO_MAX_BATCH` */
export function environmentName(key: string): string {
  return PREFIX + key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

/**
 * Merges the sources, strongest first: flags, environment, file (`DINO_CONFIG`, JSON), defaults.
 *
 * @param environment usually `process.env`; variables without the prefix are ignored
 * @param flags values given on the command line, by key
 * @throws ConfigError for an unknown key or variable, a value out of range, or settings that contradict each other
 */
export function loadConfig(
  environment: Record<string, string | undefined>,
  flags: Partial<Record<SettingKey, unknown>> = {},
): Config {
  const keys = Object.keys(SETTINGS) as SettingKey[];
  const byVariable = new Map(keys.map((key) => [environmentName(key), key]));
  const fromEnvironment: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || value === undefined || CLIENT_VARIABLES.has(name)) continue;
    const key = byVariable.get(name);
    if (key === undefined) {
      throw new ConfigError(`${name} is not a setting. There are: ${[...byVariable.keys()].join(', ')}`);
    }
    fromEnvironment[key] = value;
  }
  const fromFile = environment.DINO_CONFIG === undefined ? {} : readFile(environment.DINO_CONFIG);
  const config: Record<string, unknown> = {};
  for (const key of keys) {
    const { schema, fallback, range } = SETTINGS[key];
    const given = flags[key] ?? fromEnvironment[key] ?? fromFile[key] ?? fallback;
    const parsed = schema.safeParse(given);
    if (!parsed.success) {
      throw new ConfigError(`${environmentName(key)} is ${JSON.stringify(given)}, but it takes ${range}`);
    }
    config[key] = parsed.data;
  }
  return crossCheck(config as Config);
}

/** Variables of the prefix that are no settings of the server: where the file is, and what the command line reads. */
const CLIENT_VARIABLES = new Set(['DINO_CONFIG', 'DINO_URL', 'DINO_API_KEY']);

function readFile(path: string): Record<string, unknown> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new ConfigError(`DINO_CONFIG: ${path} can't be read as JSON (${(cause as Error).message})`, {
      cause,
    });
  }
  const parsed = z.record(z.string(), z.unknown()).safeParse(content);
  if (!parsed.success) throw new ConfigError(`DINO_CONFIG: ${path} is not a JSON object`);
  for (const key of Object.keys(parsed.data)) {
    if (!(key in SETTINGS))
      throw new ConfigError(
        `${path}: ${key} is not a setting. There are: ${Object.keys(SETTINGS).join(', ')}`,
      );
  }
  return parsed.data;
}

function crossCheck(config: Config): Config {
  if (config.maxBatch > config.queueLimit) {
    throw new ConfigError(
      `DINO_MAX_BATCH (${config.maxBatch}) is more than DINO_QUEUE_LIMIT (${config.queueLimit})`,
    );
  }
  if (config.maxImageBytes > config.maxBodyBytes) {
    throw new ConfigError(
      `DINO_MAX_IMAGE_BYTES (${config.maxImageBytes}) is more than DINO_MAX_BODY_BYTES (${config.maxBodyBytes})`,
    );
  }
  if (config.maxImagesPerRequest > config.queueLimit) {
    throw new ConfigError(
      `DINO_MAX_IMAGES_PER_REQUEST (${config.maxImagesPerRequest}) is more than DINO_QUEUE_LIMIT (${config.queueLimit})`,
    );
  }
  return config;
}
