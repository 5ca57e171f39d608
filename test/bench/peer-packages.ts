import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UsageError } from './read-options.js';

const execute = promisify(execFile);
const PYTHON_PACKAGES = ['transformers', 'fastapi', 'uvicorn[standard]'];

export interface PeerPackages {
  /** Folder with transformers.js in its `node_modules`. */
  readonly packages: string;
  /** Python that has PyTorch, transformers, FastAPI and Uvicorn. */
  readonly python: string;
}

/**
 * Puts the peers' packages into a folder, as far as they are not there from an earlier run: transformers.js without
 * install scripts (its ONNX Runtime brings what a processor needs), and on top of a Python that has PyTorch an
 * environment with the rest.
 *
 * @param python interpreter with PyTorch and ONNX; it is left as it is
 */
export async function installPeers(folder: string, python: string): Promise<PeerPackages> {
  if (!existsSync(python))
    throw new UsageError(`there is no Python at ${python}: scripts/setup.sh makes one, or say --python`);
  const packages = join(folder, 'node');
  if (!existsSync(join(packages, 'node_modules/@huggingface/transformers'))) {
    console.log('installing transformers.js');
    await mkdir(packages, { recursive: true });
    await writeFile(join(packages, 'package.json'), '{ "private": true }\n');
    const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '@huggingface/transformers'];
    await execute('npm', args, { cwd: packages });
  }
  const environment = join(folder, 'python');
  const own = join(environment, 'bin/python');
  if (!existsSync(join(environment, 'complete'))) {
    console.log(`installing ${PYTHON_PACKAGES.join(', ')}`);
    await execute(python, ['-m', 'venv', '--clear', environment]);
    const [version] = await readdir(join(environment, 'lib'));
    const { stdout } = await execute(python, [
      '-c',
      'import sysconfig; print(sysconfig.get_path("purelib"))',
    ]);
    await writeFile(join(environment, 'lib', version!, 'site-packages/with-torch.pth'), stdout);
    await execute(own, ['-m', 'pip', 'install', '-q', ...PYTHON_PACKAGES]);
    await writeFile(join(environment, 'complete'), '');
  }
  return { packages, python: own };
}

/** Versions that the comparison was made with. */
export async function versionsOf({ packages, python }: PeerPackages): Promise<Record<string, string>> {
  const { stdout } = await execute(python, [
    '-c',
    'import torch, transformers, fastapi; print(torch.__version__, transformers.__version__, fastapi.__version__)',
  ]);
  const [torch, transformers, fastapi] = stdout.trim().split(' ');
  const script = `console.log(require('./node_modules/@huggingface/transformers/package.json').version)`;
  const node = await execute(process.execPath, ['-e', script], { cwd: packages });
  return {
    PyTorch: torch!,
    transformers: transformers!,
    FastAPI: fastapi!,
    'transformers.js': node.stdout.trim(),
  };
}
