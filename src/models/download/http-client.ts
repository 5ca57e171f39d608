import { once } from 'node:events';
import { Agent, request as requestHttp, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as requestHttps } from 'node:https';
import { HttpProxyAgent } from 'http-proxy-agent';
import { HttpsProxyAgent } from 'https-proxy-agent';
import { getProxyForUrl } from 'proxy-from-env';
import { DownloadError, TransientError } from './download-error.js';

export interface HttpResponse {
  readonly status: number;
  /** By lower-case name; those of the last address. */
  readonly headers: ReadonlyMap<string, string>;
  /** Headers of the answers that led here, first to last: the hub says there which file it means. */
  readonly redirects: readonly ReadonlyMap<string, string>[];
  /** Its errors are TransientErrors. */
  readonly body: AsyncIterable<Buffer>;
  /** Lets go of a body that nobody reads. */
  discard(): void;
}

export interface HttpClientOptions {
  /** Time for a connection, and for the first and each further byte; default 30 s. */
  readonly stallTimeoutMs?: number;
  /** Headers for one address, for example a token for its host alone; asked anew at each redirect. */
  readonly headersFor?: (url: URL) => Record<string, string>;
}

const MAX_REDIRECTS = 10;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** GET with redirects, proxies of the environment and timeouts for what stalls. */
export class HttpClient {
  readonly #stallTimeoutMs: number;
  readonly #headersFor: (url: URL) => Record<string, string>;
  /** By protocol and proxy; connections are used again. */
  readonly #agents = new Map<string, Agent>();

  constructor(options: HttpClientOptions = {}) {
    this.#stallTimeoutMs = options.stallTimeoutMs ?? 30_000;
    this.#headersFor = options.headersFor ?? (() => ({}));
  }

  /**
   * @throws TransientError when the connection fails or stalls
   * @throws DownloadError for a redirect that can't be followed
   * @throws the signal's reason
   */
  async get(
    address: string,
    { headers = {}, signal }: { headers?: Record<string, string>; signal?: AbortSignal } = {},
  ): Promise<HttpResponse> {
    let url = new URL(address);
    const redirects: ReadonlyMap<string, string>[] = [];
    for (;;) {
      const response = await this.#getOnce(url, headers, signal);
      const location = response.headers.get('location');
      if (!REDIRECTS.has(response.status) || location === undefined) return { ...response, redirects };
      response.discard();
      redirects.push(response.headers);
      if (redirects.length > MAX_REDIRECTS) {
        throw new DownloadError(
          `${address} leads from one address to the next, more than ${MAX_REDIRECTS} times.`,
        );
      }
      url = redirectTarget(url, location);
    }
  }

  close(): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }

  async #getOnce(
    url: URL,
    headers: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<Omit<HttpResponse, 'redirects'>> {
    try {
      // As stored: the length and the ranges are those of the file.
      const allHeaders = { 'accept-encoding': 'identity', ...headers, ...this.#headersFor(url) };
      const options = { headers: allHeaders, agent: this.#agentFor(url), signal };
      const request = url.protocol === 'https:' ? requestHttps(url, options) : requestHttp(url, options);
      let response: IncomingMessage | undefined = undefined;
      // Of the socket: for the connection, the first byte and each further one.
      request.setTimeout(this.#stallTimeoutMs, () => (response ?? request).destroy(new StalledError()));
      // What happens after the answer has begun is told by its body.
      request.on('error', () => {});
      request.end();
      [response] = (await once(request, 'response')) as [IncomingMessage];
      // A body that is let go of, or cut before anybody reads it, reports that to its reader alone.
      response.on('error', () => {});
      return {
        status: response.statusCode!,
        headers: new Map(Object.entries(response.headers).map(([name, value]) => [name, String(value)])),
        body: translateErrors(response, url, signal),
        discard: () => void request.destroy(),
      };
    } catch (error) {
      throw translate(error, url, signal);
    }
  }

  /** By `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. */
  #agentFor(url: URL): Agent {
    const proxy = getProxyForUrl(url.href);
    const key = `${url.protocol} ${proxy}`;
    const agent = this.#agents.get(key) ?? createAgent(url, proxy);
    this.#agents.set(key, agent);
    return agent;
  }
}

class StalledError extends Error {
  readonly code = 'STALLED';
}

function createAgent({ protocol }: URL, proxy: string): Agent {
  const options = { keepAlive: true };
  const isSecure = protocol === 'https:';
  if (proxy === '') return isSecure ? new TlsAgent(options) : new Agent(options);
  return isSecure ? new HttpsProxyAgent(proxy, options) : new HttpProxyAgent(proxy, options);
}

/**
 * Where a redirect leads.
 *
 * @throws DownloadError when it leads from an encrypted address to one that is not
 */
export function redirectTarget(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href)) {
    throw new DownloadError(`${from.href} leads to ${location}, which is no address.`);
  }
  const to = new URL(location, from);
  if (to.protocol !== 'https:' && to.protocol !== 'http:') {
    throw new DownloadError(`${from.href} leads to ${to.href}, which is no web address: not followed.`);
  }
  if (from.protocol === 'https:' && to.protocol === 'http:') {
    throw new DownloadError(
      `${from.href} leads to ${to.origin}, which is not encrypted: not followed. Give another address with --from.`,
    );
  }
  return to;
}

async function* translateErrors(
  body: IncomingMessage,
  url: URL,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  try {
    yield* body as AsyncIterable<Buffer>;
  } catch (error) {
    throw translate(error, url, signal);
  }
}

function translate(error: unknown, url: URL, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code?.startsWith('ERR_INVALID_') === true || code === 'ERR_UNESCAPED_CHARACTERS') {
    return new DownloadError(`${url.href} can't be asked for (${message}).`, { cause: error });
  }
  return new TransientError(`${url.host}: ${describe(code, message)}`, { cause: error });
}

function describe(code: string | undefined, message: string): string {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'there is no such host, or no network';
    case 'ECONNREFUSED':
      return 'the connection was refused';
    case 'ETIMEDOUT':
      return 'no connection in time';
    case 'STALLED':
      return 'nothing came any more';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the connection was cut';
    default:
      return message || (code ?? 'the connection failed');
  }
}
