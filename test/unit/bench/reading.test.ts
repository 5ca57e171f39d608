import { describe, expect, it, vi } from 'vitest';
import { readOptions, UsageError } from '../../bench/read-options.js';

const VERB = {
  name: 'run',
  purpose: 'How fast one runs.',
  options: {
    seconds: { value: 'N', meaning: 'of each turn', fallback: 10, min: 1, max: 3600 },
    arrivals: { value: 'HOW', meaning: 'when', fallback: 'even', oneOf: ['even', 'poisson'] },
  },
} as const;

describe('the options of a benchmark', () => {
  it('are their defaults unless given, and numbers where those are numbers', () => {
    expect(readOptions(VERB, [])).toEqual({ seconds: 10, arrivals: 'even', json: '' });
    expect(readOptions(VERB, ['--seconds', '2.5', '--json', 'r.json'])).toEqual({
      seconds: 2.5,
      arrivals: 'even',
      json: 'r.json',
    });
  });

  it.each([
    [['--seconds', '0'], '--seconds is 0, but it takes 1 to 3600'],
    [['--seconds', 'ten'], '--seconds is ten, but it takes 1 to 3600'],
    [['--seconds='], '--seconds is , but it takes 1 to 3600'],
    [['--arrivals', 'late'], '--arrivals is late, but it takes even, poisson'],
    [['--second', '3'], "Unknown option '--second'"],
    [['fast'], "Unexpected argument 'fast'"],
  ])('%j are refused with what is taken', (args, message) => {
    expect(() => readOptions(VERB, args)).toThrow(UsageError);
    expect(() => readOptions(VERB, args)).toThrow(message);
  });

  it('are explained by --help, with their defaults', () => {
    const log = vi.spyOn(console, 'log').mockReturnValue(undefined);
    expect(readOptions(VERB, ['--help'])).toBeUndefined();
    expect(log.mock.calls[0]![0]).toContain('--seconds N     of each turn (default 10)');
    log.mockRestore();
  });
});
