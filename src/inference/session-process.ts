import { spawn, type ChildProcess } from 'node:child_process';
import { setPriority } from 'node:os';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { DinoError } from '../errors.js';
import type { AskedFeature } from './features.js';
import { encodeHead, FrameReader, type Frame } from './frames.js';
import {
  SOCKET_FD,
  type BatchAnswer,
  type BatchTask,
  type SessionReply,
  type SessionRequest,
  type SessionSettings,
} from './session-messages.js';

const WORKER = fileURLToPath(new URL('./session-worker.js', import.meta.url));

/** Of a model's process, see setpriority(2). */
const NICENESS = 5;

export type BatchOfImages = Omit<BatchTask, 'count'> & {
  /** One buffer per image, `height * width * 3` bytes each. */
  readonly images: readonly Uint8Array[];
};

export interface BatchOutcome {
  /** The whole batch per feature, first axis = image. */
  readonly outputs: Partial<Record<AskedFeature, Float32Array>>;
  /** Time of the model's run. */
  readonly seconds: number;
}

export interface SessionProcessOptions extends SessionSettings {
  /** What the model is called in errors. */
  readonly name: string;
  /** Called before each opening; what it throws is thrown on. */
  readonly verify?: () => Promise<void>;
}

/**
 * A model in a process of its own, because ONNX Runtime gives memory back to the system only when its process ends
 * (docs/decisions/0008-a-process-per-model.md). If the process dies, the batch it had fails, and the next one starts
 * another. One batch at a time.
 */
export class SessionProcess {
  readonly #options: SessionProcessOptions;
  #opening: Promise<Channel> | undefined;
  #channel: Channel | undefined;
  #memoryBytes = 0;

  constructor(options: SessionProcessOptions) {
    this.#options = options;
  }

  /** Memory of the process after its last batch; 0 where there is none. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** Id of the process; undefined where there is none. */
  get pid(): number | undefined {
    return this.#channel?.pid;
  }

  /** @throws Error when the model can't be opened or run; DinoError not-ready when the process dies meanwhile */
  async run({ images, ...batch }: BatchOfImages): Promise<BatchOutcome> {
    this.#opening ??= this.#open();
    const channel = await this.#opening;
    const { header, payload } = await channel.ask({ run: { ...batch, count: images.length } }, images);
    if (!('answer' in header)) throw new Error('the process of the model gave another answer');
    this.#memoryBytes = header.answer.memoryBytes;
    return { outputs: outputsOf(header.answer, payload), seconds: header.answer.seconds };
  }

  /** Ends the process at once and waits until it is gone. */
  async close(): Promise<void> {
    await this.#channel?.end();
  }

  async #open(): Promise<Channel> {
    try {
      await this.#options.verify?.();
      const { name, modelPath, sha256, blocks, threads, providers, embeddings } = this.#options;
      const channel = new Channel(name, () => this.#forget());
      this.#channel = channel;
      await channel.ask({ open: { modelPath, sha256, blocks, threads, providers, embeddings } });
      return channel;
    } catch (error) {
      // Not remembered: the next batch tries again.
      await this.close();
      this.#forget();
      throw error;
    }
  }

  #forget(): void {
    this.#opening = undefined;
    this.#channel = undefined;
    this.#memoryBytes = 0;
  }
}

/** A process and the request it has in hand. */
class Channel {
  readonly #child: ChildProcess;
  readonly #socket: Duplex;
  readonly #gone: Promise<void>;
  #waiting: { resolve(reply: Frame<SessionReply>): void; reject(error: Error): void } | undefined;

  /** @param onGone called once when the process has ended */
  constructor(name: string, onGone: () => void) {
    // What a library prints there must not get into the output of a command.
    const stdio = ['ignore', 'ignore', 'inherit', 'pipe'] as const;
    // Or ONNX Runtime keeps an id of the device and sends usage data to its makers: core/platform/posix/telemetry.cc.
    const env = { ...process.env, ORT_DISABLE_TELEMETRY: '1' };
    this.#child = spawn(process.execPath, [WORKER], { stdio: [...stdio], env });
    if (this.#child.pid !== undefined) yieldTheCores(this.#child.pid);
    this.#socket = this.#child.stdio[SOCKET_FD] as Duplex;
    const reader = new FrameReader<SessionReply>((reply) => {
      const { header } = reply;
      if ('failure' in header) this.#waiting?.reject(failed(header.failure, header.isRefusal));
      else this.#waiting?.resolve(reply);
      this.#waiting = undefined;
    });
    this.#socket.on('data', (piece: Buffer) => reader.push(piece));
    // A socket that is broken has a process that ends: that is where the request fails.
    this.#socket.on('error', () => undefined);
    this.#gone = new Promise((resolve) => {
      const ended = (how: string) => {
        onGone();
        this.#waiting?.reject(endedError(name, how));
        this.#waiting = undefined;
        resolve();
      };
      this.#child.once('exit', (code, signal) => ended(signal ?? `exit code ${code}`));
      this.#child.once('error', (error) => {
        // A process that did start has its `exit`.
        if (this.#child.pid === undefined) ended(error.message);
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** @param parts the payload, one after the other; they may not change until there is an answer */
  ask(request: SessionRequest, parts: readonly Uint8Array[] = []): Promise<Frame<SessionReply>> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      // Corked, so that all parts go to the kernel in one call.
      this.#socket.cork();
      for (const part of [encodeHead(request, bytes), ...parts]) this.#socket.write(part);
      this.#socket.uncork();
    });
  }

  async end(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone;
  }
}

/**
 * Answers and decoding go first where cores are short: they take a millisecond or two, and each image needs them before and
 * after its batch.
 */
function yieldTheCores(pid: number): void {
  try {
    setPriority(pid, NICENESS);
  } catch {
    // Where the system forbids it, answers only come later.
  }
}

/** Each feature as a view of the payload. */
function outputsOf(answer: BatchAnswer, { buffer }: Uint8Array<ArrayBuffer>): BatchOutcome['outputs'] {
  let at = 0;
  const views = answer.outputs.map(({ name, length }) => {
    const view = new Float32Array(buffer, at, length);
    at += view.byteLength;
    return [name, view] as const;
  });
  return Object.fromEntries(views);
}

function failed(message: string, isRefusal = false): Error {
  return isRefusal
    ? new DinoError('invalid-request', `The model can't do this: ${message}.`)
    : new Error(message);
}

function endedError(name: string, how: string): DinoError {
  const detail =
    `The process of the model ${name} ended (${how}) while it worked on this. Try again: another is started. ` +
    'If it happens again, the machine may be short of memory.';
  return new DinoError('not-ready', detail, { retryAfterSeconds: 1 });
}
