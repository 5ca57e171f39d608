import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { Piscina } from 'piscina';
import { spawnServer } from '../support/server-process.js';
import { measureTree, TICK_SECONDS } from './process-tree.js';
import type { Table } from './report.js';
import { median } from './statistics.js';

/** A server that is measured: the service, or one that only answers. */
interface Contender {
  readonly name: string;
  readonly url: string;
  readonly pid: number;
  stop(): Promise<unknown>;
}

interface Load {
  /** ms, one request after the other. */
  readonly p50: number;
  /** Answers per second with `CONNECTIONS` requests in progress. */
  readonly rate: number;
  /** Requests per second of the server's processor time, so that it does not matter who else is busy. */
  readonly perCore: number;
}

export interface HttpSearches {
  readonly table: Table;
  readonly overBare: number;
  readonly perCore: number;
}

const CONNECTIONS = 16;
const BARE_CALLS = 1000;
const peerFile = (name: string): string => fileURLToPath(new URL(`peers/${name}`, import.meta.url));

/**
 * Searches by stored id over HTTP beside what they are made of: the bare call of the graph, a thread's call and back, and
 * servers that answer with the same bytes and do nothing else. In turn, so that what drifts touches all; medians of rounds.
 *
 * @param options.search the bare call; told how many have been made before
 * @param options.size images are named `photo-0` to `photo-${size - 1}`
 * @param options.seconds length of each load
 */
export async function searchOverHttp(options: {
  readonly dataDir: string;
  readonly size: number;
  readonly k: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly search: (i: number) => unknown;
}): Promise<HttpSearches> {
  const { dataDir, size, k, seconds, rounds, search } = options;
  const bodies = Array.from({ length: 500 }, (_, i) =>
    JSON.stringify({ id: `photo-${(i * 7919) % size}`, k }),
  );
  const thread = new Piscina({ filename: peerFile('echo-thread.js'), maxThreads: 1, idleTimeout: Infinity });
  const contenders: Contender[] = [];
  try {
    const service = await spawnServer({ dataDir });
    contenders.push({ name: 'over HTTP', ...service });
    const answer = await oneAnswer(service.url, bodies[0]!);
    contenders.push(await startFloor("Node's http alone, the same answer", 'http', answer));
    contenders.push(await startFloor('Express alone, the same answer', 'express', answer));
    contenders.push(await startFloor('Express alone, served as the service does', 'express-adopted', answer));
    const loads = new Map<string, Load[]>(contenders.map(({ name }) => [name, []]));
    const [bare, handOver]: [number[], number[]] = [[], []];
    // V8 compiles what runs hot over some thousands of requests.
    const warmUp = { bodies, connections: CONNECTIONS, seconds: 2 * seconds };
    for (const contender of contenders) await load(contender, warmUp);
    for (let round = 0; round < rounds; round++) {
      for (const contender of contenders) {
        const single = await load(contender, { bodies, connections: 1, seconds });
        const busy = await load(contender, { bodies, connections: CONNECTIONS, seconds });
        loads.get(contender.name)!.push({ ...busy, p50: single.p50 });
      }
      bare.push(await medianMs(search));
      handOver.push(await medianMs(() => thread.run(bodies[0])));
    }
    return describe(contenders, loads, { bare: median(bare), handOver: median(handOver) });
  } finally {
    await Promise.all(contenders.map((contender) => contender.stop()));
    await thread.destroy();
  }
}

function describe(
  contenders: readonly Contender[],
  loads: ReadonlyMap<string, readonly Load[]>,
  { bare, handOver }: { bare: number; handOver: number },
): HttpSearches {
  const of = (name: string, key: keyof Load): number => median(loads.get(name)!.map((each) => each[key]));
  const row = (p50: number) => ({ 'p50, ms': p50, ratio: p50 / bare });
  const rows = contenders.map(({ name }): [string, Table[string]] => [
    name,
    {
      ...row(of(name, 'p50')),
      [`requests/s, ${CONNECTIONS} at once`]: of(name, 'rate'),
      'requests per second of processor time': of(name, 'perCore'),
    },
  ]);
  const [service, http] = contenders as [Contender, Contender];
  return {
    table: {
      'bare call of the graph': row(bare),
      ...Object.fromEntries(rows),
      'a call of a thread and back, nothing done': row(handOver),
      "the least: Node's http, the thread and the bare call": row(of(http.name, 'p50') + handOver + bare),
    },
    overBare: of(service.name, 'p50') / bare,
    perCore: of(service.name, 'perCore'),
  };
}

async function medianMs(call: (i: number) => unknown): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < BARE_CALLS; i++) {
    const started = performance.now();
    await call(i);
    times.push(performance.now() - started);
  }
  return median(times.slice(BARE_CALLS / 4));
}

async function oneAnswer(url: string, body: string): Promise<Buffer> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1/collections/c/search`, { method: 'POST', headers, body });
  return Buffer.from(await response.arrayBuffer());
}

async function startFloor(name: string, kind: string, answer: Buffer): Promise<Contender> {
  const child = spawn(process.execPath, [peerFile('answer-floor.js'), kind], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(answer);
  const exited = once(child, 'exit');
  for await (const line of createInterface(child.stdout)) {
    const url = /^ready (\S+)$/.exec(line)?.[1];
    if (url === undefined) continue;
    const stop = (): Promise<unknown> => {
      child.kill();
      return exited;
    };
    return { name, url, pid: child.pid!, stop };
  }
  throw new Error(`${name} ended before it was ready`);
}

async function load(
  { url, pid }: Contender,
  { bodies, connections, seconds }: { bodies: readonly string[]; connections: number; seconds: number },
): Promise<Load> {
  const before = measureTree(pid);
  const options: autocannon.Options = {
    url: `${url}/v1/collections/c/search`,
    connections,
    duration: seconds,
    requests: bodies.map((body) => ({
      method: 'POST' as const,
      headers: { 'content-type': 'application/json' },
      body,
    })),
  };
  const times: number[] = [];
  const { non2xx, errors, duration } = await new Promise<autocannon.Result>((resolve, reject) => {
    const running = autocannon(options, (error, result) =>
      error ? reject(error as Error) : resolve(result),
    );
    running.on('response', (_client, _status, _bytes, ms) => times.push(ms));
  });
  if (non2xx + errors > 0) throw new Error(`${non2xx} answers other than 2xx, ${errors} errors`);
  const after = measureTree(pid);
  const spent = after.mainSeconds + after.childSeconds - before.mainSeconds - before.childSeconds;
  // Counted in ticks, of which a moment may have none.
  return {
    p50: median(times),
    rate: times.length / duration,
    perCore: times.length / Math.max(spent, TICK_SECONDS),
  };
}
