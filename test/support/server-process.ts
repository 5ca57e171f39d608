import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../', import.meta.url);
const MAIN = fileURLToPath(new URL('dist/main.js', ROOT));

/** The options of Node with which `npm start` runs the service. */
export function startOptions(): string[] {
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as {
    scripts: { start: string };
  };
  return scripts.start.split(' ').slice(1, -1);
}

export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** What it printed up to `ready`. */
  readonly greeting: string;
  /** Ends it as an operator would, and waits. @returns its exit code */
  stop(): Promise<number | null>;
  /** Ends it as a power cut would, and waits. */
  kill(): Promise<void>;
}

/** Starts the service as `npm start` does, on a free port of loopback, and waits until it says `ready`. */
export async function spawnServer({
  dataDir,
  environment = {},
  nodeOptions = [],
}: {
  dataDir: string;
  environment?: Record<string, string>;
  nodeOptions?: readonly string[];
}): Promise<ServerProcess> {
  const child = spawn(process.execPath, [...startOptions(), ...nodeOptions, MAIN], {
    env: {
      PATH: process.env.PATH,
      DINO_PORT: '0',
      DINO_DATA_DIR: dataDir,
      DINO_LOG_LEVEL: 'warn',
      // What is tested and measured is the model; tests of the cache ask for it.
      DINO_EMBEDDING_CACHE: 'off',
      // A new data folder each time would have it measured each time.
      DINO_INFERENCE_WORKERS: '1',
      ...environment,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    const ready = /^ready (\S+)$/.exec(line);
    if (ready === null) continue;
    return {
      url: ready[1]!,
      pid: child.pid!,
      greeting: lines.join('\n'),
      async stop() {
        child.kill('SIGTERM');
        return (await exited)[0];
      },
      async kill() {
        child.kill('SIGKILL');
        await exited;
      },
    };
  }
  throw new Error(`the server ended before it was ready, with ${(await exited)[0]}: ${lines.join(' ')}`);
}
