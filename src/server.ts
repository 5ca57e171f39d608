import { unlink, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Config } from './config.js';
import { createExpressServer } from './http/express-server.js';
import { compose, type Service, type ServiceFolders } from './composition.js';

/** Tells the command line where the server of a data folder listens. */
export const SERVER_FILE = 'server.json';

export interface RunningServer {
  readonly url: string;
  readonly service: Service;
  /** Not ready first, no new connections, what is in progress is finished, files are closed. */
  stop(): Promise<void>;
}

/** Composes the service and listens. */
export async function startServer(
  config: Config,
  folders: Partial<ServiceFolders> = {},
): Promise<RunningServer> {
  const service = await compose(config, folders);
  const server = createExpressServer(service.app);
  // A client that sends slowly must not hold a place for ever.
  server.headersTimeout = 20_000;
  server.requestTimeout = 300_000;
  server.keepAliveTimeout = 65_000;
  try {
    await listen(server, config);
  } catch (error) {
    await service.close();
    throw error;
  }
  const { address, family, port } = server.address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
  const serverFile = join(service.dataDir, SERVER_FILE);
  await writeFile(serverFile, JSON.stringify({ url, pid: process.pid }) + '\n');
  return {
    url,
    service,
    async stop() {
      service.lifecycle.stop();
      // Jobs end at their next step while requests are finished.
      const jobsEnded = service.jobs.close();
      await drain(server, config.shutdownSeconds);
      await jobsEnded;
      await service.close();
      await unlink(serverFile).catch(() => undefined);
    },
  };
}

function listen(server: Server, { host, port }: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reason =
        cause.code === 'EADDRINUSE'
          ? `port ${port} of ${host} is in use: set DINO_PORT, or 0 for any free one`
          : cause.message;
      reject(new Error(`can't listen: ${reason}`, { cause }));
    });
    server.listen(port, host, resolve);
  });
}

/** Waits for the requests in progress; after the deadline their connections are cut. */
function drain(server: Server, seconds: number): Promise<void> {
  return new Promise((resolve) => {
    const deadline = setTimeout(() => server.closeAllConnections(), seconds * 1000);
    server.close(() => {
      clearTimeout(deadline);
      resolve();
    });
    server.closeIdleConnections();
  });
}
