import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const DINO = fileURLToPath(new URL('../../dist/cli/dino.js', import.meta.url));

export interface DinoOptions {
  /** Working folder; default: this process's. */
  readonly cwd?: string;
  /** `DINO_` variables; nothing of this process's environment but the path is passed on. */
  readonly environment?: Record<string, string>;
}

export interface DinoResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the command line; its output is read by `finishDino`. */
export function spawnDino(
  args: readonly string[],
  { cwd, environment = {} }: DinoOptions = {},
): ChildProcess {
  return spawn(process.execPath, [DINO, ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Collects what a command prints until it ends. */
export async function finishDino(child: ChildProcess): Promise<DinoResult> {
  const output = { stdout: '', stderr: '' };
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...output };
}

/** Runs the command line to its end. */
export function runDino(args: readonly string[], options?: DinoOptions): Promise<DinoResult> {
  return finishDino(spawnDino(args, options));
}

/** Runs a command that must succeed and reads its output as JSON. */
export async function runDinoJson(args: readonly string[], options?: DinoOptions) {
  const { code, stdout, stderr } = await runDino([...args, '--json'], options);
  if (code !== 0) throw new Error(`dino ${args.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}
