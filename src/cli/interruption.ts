import { setMaxListeners } from 'node:events';
import { CommandError, OutputClosed } from './command-error.js';

export interface Interruption {
  /** Aborted at the first interrupt, with the error that ends the command as its reason. */
  readonly signal: AbortSignal;
  /** Listens no more. */
  stop(): void;
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Lets the first signal, or a closed standard output, end the work in progress in good order. A second signal ends
 * the process at once.
 */
export function listenForInterrupt(): Interruption {
  const controller = new AbortController();
  // Every request listens; they are many, and none is forgotten.
  setMaxListeners(0, controller.signal);
  const onSignal = () => {
    stop();
    controller.abort(new CommandError('interrupted', { exitCode: 130 }));
  };
  const onOutputError = (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') controller.abort(new OutputClosed());
  };
  const stop = () => {
    for (const name of SIGNALS) process.off(name, onSignal);
    process.stdout.off('error', onOutputError);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  process.stdout.on('error', onOutputError);
  return { signal: controller.signal, stop };
}
