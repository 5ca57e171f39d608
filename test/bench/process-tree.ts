import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts processor time in ticks of 10 ms and memory in pages of 4 KiB, as far as programs can see. */
export const TICK_SECONDS = 0.01;
const PAGE_BYTES = 4096;

export interface TreeUse {
  /** Resident memory of all of its processes; what they share counts for each. */
  readonly bytes: number;
  /** That of its first process. */
  readonly mainBytes: number;
  /** What of `bytes` is none of files, such as libraries and the weights that are read as they lie. */
  readonly anonymousBytes: number;
  /** Processor time of its first process, all threads. */
  readonly mainSeconds: number;
  /** Processor time of those below it: the models' processes. */
  readonly childSeconds: number;
}

interface Entry {
  readonly pid: number;
  readonly parent: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly anonymousBytes: number;
}

/** A process and all below it. @throws Error where there is no /proc, and when the process is not there */
export function measureTree(root: number, proc = '/proc'): TreeUse {
  const entries = readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => readEntry(`${proc}/${pid}`) ?? []);
  const inside = new Set([root]);
  for (let before = 0; before < inside.size;) {
    before = inside.size;
    for (const { pid, parent } of entries) if (inside.has(parent)) inside.add(pid);
  }
  const tree = entries.filter(({ pid }) => inside.has(pid));
  const main = tree.find(({ pid }) => pid === root);
  if (main === undefined) throw new Error(`there is no process ${root}`);
  const sum = (of: 'bytes' | 'anonymousBytes' | 'seconds'): number =>
    tree.reduce((total, entry) => total + entry[of], 0);
  return {
    bytes: sum('bytes'),
    mainBytes: main.bytes,
    anonymousBytes: sum('anonymousBytes'),
    mainSeconds: main.seconds,
    childSeconds: sum('seconds') - main.seconds,
  };
}

/** See proc(5). @returns undefined when the process has ended meanwhile */
function readEntry(folder: string): Entry | undefined {
  let text: string;
  let pages: number[];
  try {
    text = readFileSync(`${folder}/stat`, 'utf8');
    pages = readFileSync(`${folder}/statm`, 'utf8').split(' ').map(Number);
  } catch {
    return undefined;
  }
  // The second field is the program's name in brackets, in which anything may stand.
  const close = text.lastIndexOf(')');
  const rest = text.slice(close + 2).split(' ');
  const field = (number: number): number => Number(rest[number - 3]);
  return {
    pid: Number(text.slice(0, text.indexOf(' '))),
    parent: field(4),
    seconds: (field(14) + field(15)) * TICK_SECONDS,
    bytes: pages[1]! * PAGE_BYTES,
    anonymousBytes: (pages[1]! - pages[2]!) * PAGE_BYTES,
  };
}
