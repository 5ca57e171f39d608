import { Agent, EnvHttpProxyAgent, errors, request, type Dispatcher } from 'undici';
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
  discard(): Promise<void>;
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
  readonly #dispatcher: Dispatcher;

  constructor(options: HttpClientOptions = {}) {
    this.#stallTimeoutMs = options.stallTimeoutMs ?? 30_000;
    this.#headersFor = options.headersFor ?? (() => ({}));
    this.#dispatcher = createDispatcher(this.#stallTimeoutMs);
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
      await response.discard();
      redirects.push(response.headers);
      if (redirects.length > MAX_REDIRECTS) {
        throw new DownloadError(
          `${address} leads from one address to the next, more than ${MAX_REDIRECTS} times.`,
        );
      }
      url = follow(url, location);
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  async #getOnce(
    url: URL,
    headers: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<Omit<HttpResponse, 'redirects'>> {
    try {
      const {
        statusCode,
        headers: received,
        body,
      } = await request(url, {
        // As stored: the length and the ranges are those of the file.
        headers: { 'accept-encoding': 'identity', ...headers, ...this.#headersFor(url) },
        headersTimeout: this.#stallTimeoutMs,
        bodyTimeout: this.#stallTimeoutMs,
        dispatcher: this.#dispatcher,
        signal,
      });
      // A body that is let go of reports its abortion to nobody.
      body.on('error', () => {});
      return {
        status: statusCode,
        headers: new Map(Object.entries(received).map(([name, value]) => [name, String(value)])),
        body: translateErrors(body as AsyncIterable<Buffer>, url, signal),
        async discard() {
          body.destroy();
        },
      };
    } catch (error) {
      throw translate(error, url, signal);
    }
  }
}

function createDispatcher(stallTimeoutMs: number): Dispatcher {
  const options = { connect: { timeout: stallTimeoutMs } };
  const { http_proxy, HTTP_PROXY, https_proxy, HTTPS_PROXY } = process.env;
  if (!(http_proxy || HTTP_PROXY || https_proxy || HTTPS_PROXY)) return new Agent(options);
  // It warns that it is experimental in undici 6: nothing that who runs the command could change.
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return new EnvHttpProxyAgent(options);
  } finally {
    process.emitWarning = emitWarning;
  }
}

function follow(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href)) {
    throw new DownloadError(`${from.href} leads to ${location}, which is no address.`);
  }
  const to = new URL(location, from);
  const allowed = from.protocol === 'https:' ? ['https:'] : ['http:', 'https:'];
  if (!allowed.includes(to.protocol)) {
    throw new DownloadError(
      `${from.href} leads to ${to.origin}, which is not encrypted: not followed. Give another address with --from.`,
    );
  }
  return to;
}

async function* translateErrors(
  body: AsyncIterable<Buffer>,
  url: URL,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw translate(error, url, signal);
  }
}

function translate(error: unknown, url: URL, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return signal.reason;
  const { code, message } = error as NodeJS.ErrnoException;
  if (error instanceof errors.InvalidArgumentError) {
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
    case 'UND_ERR_CONNECT_TIMEOUT':
      return 'no connection in time';
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return 'nothing came any more';
    case 'ECONNRESET':
    case 'UND_ERR_SOCKET':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return 'the connection was cut';
    default:
      return message || (code ?? 'the connection failed');
  }
}
