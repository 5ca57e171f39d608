import { spawn, spawnSync, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommandError } from '../command-error.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const CHECK = 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))';

export interface PythonOptions {
  /** A Python that has the packages of `scripts/pyproject.toml`; default: the one that setup.sh makes. */
  readonly python?: string;
}

/**
 * The Python to run the scripts with. At its first use `scripts/setup.sh` makes `.venv` and installs PyTorch into it.
 *
 * @throws CommandError when there is no Python, or the packages can't be installed
 */
export async function ensurePython({ python }: PythonOptions): Promise<string> {
  if (python !== undefined) return python;
  const own = join(ROOT, '.venv/bin/python');
  const isThere = await access(own).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    if (spawnSync('python3', ['-c', CHECK]).status !== 0) {
      throw new CommandError(
        'training needs Python 3.11 or later with venv: install python3 and python3-venv, or give a Python that has PyTorch with --python.',
      );
    }
    process.stderr.write('making .venv with PyTorch; this takes some minutes, once\n');
  }
  const setup = spawn(join(ROOT, 'scripts/setup.sh'), { stdio: ['ignore', 2, 2] });
  const [code] = (await once(setup, 'close')) as [number | null];
  if (code !== 0) {
    throw new CommandError(`scripts/setup.sh could not make the Python environment ${join(ROOT, '.venv')}.`);
  }
  return own;
}

export interface ScriptRun {
  readonly python: string;
  /** Name of the script under `scripts/`. */
  readonly script: string;
  readonly args: readonly string[];
  /** Where its standard output goes: on as it is, to standard error, or into the result. */
  readonly output: 'inherit' | 'stderr' | 'collect';
  /** Interrupts the script, which then saves what it has and ends. */
  readonly signal?: AbortSignal;
}

/**
 * Runs one of the project's Python scripts. Its progress and errors go to standard error.
 *
 * @returns its exit code, and its output where that is collected
 * @throws CommandError when it can't be started; the signal's reason once the interrupted script has ended
 */
export async function runScript(run: ScriptRun): Promise<{ readonly code: number; readonly output: string }> {
  run.signal?.throwIfAborted();
  const stdout = { inherit: 'inherit', stderr: 2, collect: 'pipe' } as const;
  const stdio: StdioOptions = ['ignore', stdout[run.output], 'inherit'];
  const path = join(ROOT, 'scripts', run.script);
  // A group of its own: Ctrl-C reaches it once, through us, and not twice.
  const child = spawn(run.python, [path, ...run.args], { stdio, detached: true });
  const interrupt = () => child.kill('SIGINT');
  run.signal?.addEventListener('abort', interrupt);
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (output += text));
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    run.signal?.throwIfAborted();
    return { code: code ?? 1, output };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).syscall === undefined) throw cause;
    throw new CommandError(`${run.python} can't be run (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    });
  } finally {
    run.signal?.removeEventListener('abort', interrupt);
  }
}
