import { pino, type Logger } from 'pino';

export type { Logger };

/** One JSON line per message on standard error; standard output is for people and pipes. */
export function createLogger(level: string): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2));
}
