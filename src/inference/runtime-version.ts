import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };

/** ONNX Runtime's. */
export const RUNTIME_VERSION = version;
