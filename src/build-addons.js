/**
 * Compiles the addons into dist, unless they are there for these sources and this Node. The sources are compiled for
 * any processor of the platform; what a processor can do beyond that is found out when they run.
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
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath, URL } from 'node:url';

const ADDONS = [
  {
    what: 'vectors',
    sources: 'collections/embedded/native',
    target: 'vector_index',
    result: 'collections/embedded/vector-index.node',
    libraries: ['hnswlib-node', 'node-addon-api'],
  },
  {
    what: 'JPEGs',
    sources: 'vision/native',
    target: 'jpeg_decoder',
    result: 'vision/jpeg-decoder.node',
    libraries: ['node-addon-api'],
  },
];

const src = fileURLToPath(new URL('.', import.meta.url));
const dist = fileURLToPath(new URL('../dist', import.meta.url));
const require = createRequire(import.meta.url);

for (const addon of ADDONS) {
  const result = join(dist, addon.result);
  const stampFile = `${result}.stamp`;
  const stamp = stampOf(addon);
  if (existsSync(result) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) continue;
  mkdirSync(dirname(result), { recursive: true });
  compile(addon, result);
  writeFileSync(stampFile, stamp);
}

/** Changes with whatever the compiled addon depends on. */
function stampOf({ sources, libraries }) {
  const hash = createHash('sha256');
  hash.update([process.platform, process.arch, process.versions.modules, process.env.CXXFLAGS ?? ''].join());
  for (const library of libraries) hash.update(require(`${library}/package.json`).version);
  const folder = join(src, sources);
  for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}

function compile({ what, sources, target }, result) {
  const work = join(dist, 'native');
  rmSync(work, { recursive: true, force: true });
  cpSync(join(src, sources), work, { recursive: true });
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
      `The addon for ${what} could not be compiled (${error.message.split('\n')[0]}). It needs python3, make and g++ (or clang), and npm runs it: npm run build.`,
    );
    process.exit(1);
  }
  // A running process may have the old one open: beside it and renamed, not written over.
  rmSync(result, { force: true });
  copyFileSync(join(work, `build/Release/${target}.node`), result);
  rmSync(work, { recursive: true });
}
