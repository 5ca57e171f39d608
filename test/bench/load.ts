import { Agent, request as openRequest } from 'node:http';

export interface Call {
  readonly method: 'DELETE' | 'GET' | 'POST' | 'PUT';
  readonly path: string;
  readonly type?: string;
  readonly body?: Buffer;
}

/** Times of a call on the clock of `performance`, in ms. */
export interface Answered {
  readonly from: number;
  readonly to: number;
  readonly body: Buffer;
}

/** Sends calls to one server over connections that stay open. */
export class LoadClient {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Infinity });

  constructor(url: string) {
    this.#url = url;
  }

  /** @throws Error for every status but 2xx: a benchmark of refusals would be of no use */
  send({ method, path, type, body }: Call): Promise<Answered> {
    const from = performance.now();
    const headers = {
      ...(type !== undefined && { 'content-type': type }),
      ...(body !== undefined && { 'content-length': body.length }),
    };
    return new Promise((resolve, reject) => {
      const request = openRequest(this.#url + path, { agent: this.#agent, method, headers }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.once('error', reject);
        response.once('end', () => {
          const body = Buffer.concat(parts);
          const status = response.statusCode!;
          if (status >= 200 && status < 300) resolve({ from, to: performance.now(), body });
          else reject(new Error(`${method} ${path}: ${status} ${body.toString().slice(0, 300)}`));
        });
      });
      request.once('error', reject);
      request.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** Sends one call and tells when; `from` of what it gives may be moved back by the load. */
export type Send = () => Promise<Answered>;

/**
 * Full load: each of the connections sends its next call as soon as the one before is answered. It lasts longer than it is
 * told to where each connection has not had two answers by then, which tell no rate.
 *
 * @returns when each call was answered, ascending, without those of the first `warmUpSeconds`
 */
export async function closedLoop(
  send: Send,
  {
    connections,
    seconds,
    warmUpSeconds = 1,
  }: { connections: number; seconds: number; warmUpSeconds?: number },
): Promise<number[]> {
  const started = performance.now();
  const counted = started + warmUpSeconds * 1000;
  const end = counted + seconds * 1000;
  const enough = 2 * connections;
  const times: number[] = [];
  const connection = async (): Promise<void> => {
    while (performance.now() < end || times.length < enough) {
      const { to } = await send();
      if (to >= counted && (to <= end || times.length < enough)) times.push(to);
    }
  };
  await Promise.all(Array.from({ length: connections }, connection));
  return times.sort((a, b) => a - b);
}

/** When the calls of an open loop are due: evenly, or as if many independent people asked. */
export type Arrivals = 'even' | 'poisson';

/**
 * Calls at a given rate, whether those before are answered or not.
 *
 * @returns ms from when each call was due to its answer: a client that comes late with it must not hide a wait
 */
export async function openLoop(
  send: Send,
  { perSecond, seconds, arrivals }: { perSecond: number; seconds: number; arrivals: Arrivals },
): Promise<number[]> {
  const started = performance.now();
  const waits: Promise<number>[] = [];
  for (const due of dueTimes({ perSecond, seconds, arrivals })) {
    const wait = started + due - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    // A timer may fire a little early.
    const from = Math.min(started + due, performance.now());
    waits.push(send().then(({ to }) => to - from));
  }
  return Promise.all(waits);
}

/** In ms from the start. The draws of `poisson` are the same in every run. */
export function dueTimes({
  perSecond,
  seconds,
  arrivals,
}: {
  perSecond: number;
  seconds: number;
  arrivals: Arrivals;
}): number[] {
  const times: number[] = [];
  let state = 1;
  for (let at = 0; at < seconds * 1000;) {
    times.push(at);
    // A Lehmer generator: a prime modulus keeps the state from 0.
    state = (state * 48271) % 2147483647;
    at += (arrivals === 'even' ? 1 : -Math.log(state / 2147483647)) * (1000 / perSecond);
  }
  return times;
}
