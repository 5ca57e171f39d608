import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { createClient, type DinoClient } from '../client/dino-client.js';
import { loadConfig, type Config } from '../config.js';
import { CommandError, usageError } from './command-error.js';
import { listenForInterrupt } from './interruption.js';

/** Where the server of a data folder says how it can be reached. */
const SERVER_FILE = 'server.json';

export interface ConnectionOptions {
  /** A server's URL; default: `DINO_URL`. */
  readonly url?: string;
  /** The data folder; default: `DINO_DATA_DIR`. */
  readonly dataDir?: string;
}

/** Adds the options that every command with a server has. */
export function addConnectionOptions(command: Command): Command {
  return command
    .option('--url <url>', 'server to use (environment: DINO_URL; its key: DINO_API_KEY)')
    .option('--data-dir <path>', 'data folder, where no URL is given (environment: DINO_DATA_DIR)');
}

export interface ServerNeeds extends ConnectionOptions {
  /** The command needs no collection, so without a server no data folder is touched. */
  readonly storesNothing?: boolean;
  /** Its requests wait while the server has others to answer. */
  readonly isBulk?: boolean;
  /** The command is about a server that goes on running, so a service of its own would be of no use. */
  readonly runningOnly?: boolean;
}

/**
 * Finds a server and lets the command use it: the one at the URL; else the one that runs on the data folder; else
 * the service in this process, for as long as the command takes.
 *
 * @throws CommandError when there is no server and none can be started
 */
export async function withServer<Result>(
  options: ServerNeeds,
  use: (client: DinoClient) => Promise<Result>,
): Promise<Result> {
  const interruption = listenForInterrupt();
  try {
    const connection = await connect(options, interruption.signal);
    try {
      return await use(connection.client);
    } finally {
      await connection.close();
    }
  } finally {
    interruption.stop();
  }
}

interface Connection {
  readonly client: DinoClient;
  close(): Promise<void>;
}

async function connect(options: ServerNeeds, signal: AbortSignal): Promise<Connection> {
  const { DINO_URL, DINO_API_KEY } = process.env;
  const priority = options.isBulk === true ? 'bulk' : 'interactive';
  const given = options.url ?? DINO_URL;
  if (given !== undefined)
    return {
      client: createClient({ url: checkUrl(given), apiKey: DINO_API_KEY, priority, signal }),
      close: nothing,
    };

  const config = loadConfig(process.env, { dataDir: options.dataDir });
  const apiKey = DINO_API_KEY ?? config.apiKeys[0];
  const running = await findServer(config.dataDir);
  if (running !== undefined) {
    const client = createClient({ url: running, apiKey, priority, signal });
    if (await client.isAlive()) return { client, close: nothing };
  }
  if (options.runningOnly === true) {
    throw new CommandError(
      `no server runs on ${config.dataDir}. Start one with dino serve, or give the URL of one with --url.`,
    );
  }
  return startOwn(config, { apiKey: config.apiKeys[0], signal, storesNothing: options.storesNothing });
}

async function nothing(): Promise<void> {}

function checkUrl(text: string): string {
  if (!URL.canParse(text) || !['http:', 'https:'].includes(new URL(text).protocol)) {
    throw usageError(`${text} is not a server's URL, such as http://127.0.0.1:8080`);
  }
  return text;
}

/** The URL that `server.json` names, unless its process has ended without taking the file away. */
async function findServer(dataDir: string): Promise<string | undefined> {
  try {
    const { url, pid } = JSON.parse(await readFile(join(dataDir, SERVER_FILE), 'utf8')) as {
      url: string;
      pid: number;
    };
    if (!isRunning(pid)) return undefined;
    // "Every address" is where it listens; this machine is where to ask.
    return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
  } catch {
    return undefined;
  }
}

/** Another program may have the port by now, and another dino-server another folder. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function startOwn(
  config: Config,
  {
    apiKey,
    signal,
    storesNothing = false,
  }: { apiKey?: string; signal: AbortSignal; storesNothing?: boolean },
): Promise<Connection> {
  // The service's libraries take a second to load: only here.
  const { startServer } = await import('../server.js');
  const temporary = storesNothing ? await mkdtemp(join(tmpdir(), 'dino-')) : undefined;
  const removeTemporary = async () => {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  };
  try {
    const dataDir = resolve(config.dataDir);
    const settings: Config = {
      ...config,
      host: '127.0.0.1',
      port: 0,
      dataDir: temporary ?? dataDir,
      // What matters reaches the command as an answer.
      logLevel: process.env.DINO_LOG_LEVEL === undefined ? 'error' : config.logLevel,
    };
    const server = await startServer(settings, { installedModels: join(dataDir, 'models') });
    return {
      client: createClient({ url: server.url, apiKey, signal }),
      async close() {
        await server.stop();
        await removeTemporary();
      },
    };
  } catch (cause) {
    await removeTemporary();
    throw new CommandError((cause as Error).message, { cause });
  }
}
