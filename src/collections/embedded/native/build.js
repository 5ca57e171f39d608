/**
 * Compiles the addon of this folder into dist, unless it is there for these sources and this Node. The sources are
 * compiled for any processor of the platform; what a processor can do beyond that is found out when it runs.
 */
import { execFileSync } from 'node:child_process';
import console from 'node:console';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, URL } from 'node:url';

const source = fileURLToPath(new URL('.', import.meta.url));
const dist = fileURLToPath(new URL('../../../../dist', import.meta.url));
const addon = join(dist, 'collections/embedded/vector-index.node');
const stampFile = `${addon}.stamp`;

const require = createRequire(import.meta.url);
const hash = createHash('sha256');
hash.update([process.platform, process.arch, process.versions.modules, process.env.CXXFLAGS ?? ''].join());
for (const library of ['hnswlib-node', 'node-addon-api']) {
  hash.update(require(`${library}/package.json`).version);
}
for (const name of readdirSync(source).sort()) hash.update(name).update(readFileSync(join(source, name)));
const stamp = hash.digest('hex');

if (!existsSync(addon) || !existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== stamp) {
  const work = join(dist, 'native');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(dist, 'collections/embedded'), { recursive: true });
  cpSync(source, work, { recursive: true });
  const windows = process.platform === 'win32';
  try {
    execFileSync(windows ? 'node-gyp.cmd' : 'node-gyp', ['rebuild', '--silent'], {
      cwd: work,
      shell: windows,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    process.stderr.write(error.stdout ?? '');
    process.stderr.write(error.stderr ?? '');
    console.error(
      `The addon for vectors could not be compiled (${error.message.split('\n')[0]}). It needs python3, make and g++ (or clang), and npm runs it: npm run build.`,
    );
    process.exit(1);
  }
  // A running process may have the old one open: beside it and renamed, not written over.
  rmSync(addon, { force: true });
  copyFileSync(join(work, 'build/Release/vector_index.node'), addon);
  writeFileSync(stampFile, stamp);
  rmSync(work, { recursive: true });
}
