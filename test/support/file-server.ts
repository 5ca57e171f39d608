import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What goes wrong with one answer. */
export type Fault =
  /** The connection is cut behind so many bytes of the body. */
  | { readonly cutAfter: number }
  /** The body ends in good order behind so many bytes, and no length was announced. */
  | { readonly endAfter: number }
  | { readonly status: number; readonly headers?: Record<string, string> }
  /** So many bytes of the body, and then nothing for ever. */
  | { readonly stallAfter: number };

export interface ServedFile {
  bytes: Buffer;
  etag?: string;
  lastModified?: string;
  /** Whether it answers ranges; default true. */
  ranges?: boolean;
  /** Whether it heeds If-Range; default true. */
  ifRange?: boolean;
  headers?: Record<string, string>;
  /** One per answer, until they are used up. */
  faults?: Fault[];
}

export interface SeenRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** Serves files from memory over real HTTP, with ranges and with faults. */
export class FileServer {
  readonly files = new Map<string, ServedFile>();
  /** Paths that lead to other addresses. */
  readonly redirects = new Map<string, { readonly to: string; readonly headers?: Record<string, string> }>();
  readonly requests: SeenRequest[] = [];
  readonly #server: Server;
  readonly #stalled = promiseWithResolvers();
  #url = '';

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FileServer> {
    const server = createServer((request, response) => files.#answer(request, response));
    const files = new FileServer(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    files.#url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    return files;
  }

  get url(): string {
    return this.#url;
  }

  /** Resolves when an answer has stalled, with all it was to send handed to the system. */
  get stalled(): Promise<void> {
    return this.#stalled.promise;
  }

  /** Serves bytes under a path such as `dino/model.pth`, with an ETag unless it is told otherwise. */
  put(path: string, bytes: Buffer, options: Omit<ServedFile, 'bytes'> = {}): ServedFile {
    const file = { etag: `"${bytes.length}-${bytes.subarray(0, 8).toString('hex')}"`, ...options, bytes };
    this.files.set(path, file);
    return file;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url!, this.url).pathname.slice(1));
    this.requests.push({ path, headers: request.headers });
    const redirect = this.redirects.get(path);
    if (redirect !== undefined) {
      response.writeHead(302, { location: redirect.to, ...redirect.headers }).end();
      return;
    }
    const file = this.files.get(path);
    if (file === undefined) {
      response.writeHead(404).end('not found');
      return;
    }
    const fault = file.faults?.shift();
    if (fault !== undefined && 'status' in fault) {
      response.writeHead(fault.status, fault.headers).end();
      return;
    }
    this.#send(file, fault, request, response);
  }

  #send(
    file: ServedFile,
    fault: Fault | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const { bytes, etag, lastModified } = file;
    const validators = {
      ...(etag !== undefined && { etag }),
      ...(lastModified !== undefined && { 'last-modified': lastModified }),
      ...file.headers,
    };
    const start = rangeStart(file, request);
    if (start !== undefined && start >= bytes.length) {
      response.writeHead(416, { ...validators, 'content-range': `bytes */${bytes.length}` }).end();
      return;
    }
    const body = bytes.subarray(start ?? 0);
    const endsEarly = fault !== undefined && 'endAfter' in fault;
    response.writeHead(start === undefined ? 200 : 206, {
      ...validators,
      ...(!endsEarly && { 'content-length': String(body.length) }),
      ...(start !== undefined && { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` }),
    });
    if (fault === undefined) response.end(body);
    else if ('endAfter' in fault) response.end(body.subarray(0, fault.endAfter));
    else if ('cutAfter' in fault) {
      response.write(body.subarray(0, fault.cutAfter), () => response.socket?.end());
    } else if ('stallAfter' in fault) {
      response.flushHeaders();
      response.write(body.subarray(0, fault.stallAfter), () => this.#stalled.resolve());
    }
  }
}

function promiseWithResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

/** @returns undefined when the whole file is to be sent */
function rangeStart(file: ServedFile, request: IncomingMessage): number | undefined {
  const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
  if (range === null || file.ranges === false) return undefined;
  const condition = request.headers['if-range'];
  const holds = condition === undefined || condition === file.etag || condition === file.lastModified;
  return holds || file.ifRange === false ? Number(range[1]) : undefined;
}
