import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { DinoClientError } from '../client/dino-client-error.js';
import { ConfigError } from '../config.js';
import { addAliasesCommand } from './collections/aliases-command.js';
import { addAttentionCommand } from './attention-command.js';
import { addCollectionsCommand } from './collections/collections-command.js';
import { CommandError, OutputClosed } from './command-error.js';
import { addCosegmentCommand } from './cosegment-command.js';
import { addDuplicatesCommand } from './duplicates-command.js';
import { addEmbedCommand } from './embed-command.js';
import { addExportCommand } from './export-command.js';
import { addImportCommand } from './import-command.js';
import { addJobsCommand } from './jobs/jobs-command.js';
import { addMaskCommand } from './mask-command.js';
import { addModelsCommand } from './models/models-command.js';
import { addSearchCommand } from './search-command.js';
import { addServeCommand } from './serve-command.js';
import { addSnapshotsCommand } from './snapshots/snapshots-command.js';
import { addEvaluateCommand } from './training/evaluate-command.js';
import { addTrainCommand } from './training/train-command.js';

/**
 * Runs one command.
 *
 * @param args the words after the program's name
 * @returns the exit code: 0 done, 1 failed, 2 asked for wrongly, 130 interrupted
 */
export async function run(args: readonly string[]): Promise<number> {
  try {
    await createProgram().parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof OutputClosed) return 0;
    return report(error);
  }
}

/** One line on standard error; what nobody foresaw with its stack. */
function report(error: unknown): number {
  if (error instanceof CommandError) return say(error.message, error.exitCode);
  if (error instanceof ConfigError) return say(error.message, 2);
  if (error instanceof DinoClientError) {
    const hint = error.code === 'unauthorized' ? ' Set DINO_API_KEY.' : '';
    const request = error.status === 500 ? ` (request ${error.requestId})` : '';
    return say(`${error.message}${request}${hint}`, 1);
  }
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}

function say(message: string, exitCode: number): number {
  process.stderr.write(`dino: ${message}\n`);
  return exitCode;
}

/** The program with all its commands. */
export function createProgram(): Command {
  const program = new Command('dino')
    .description('Embeddings, nearest neighbours and masks of images, on DINO features')
    .version(readVersion())
    .exitOverride()
    .configureOutput({ outputError: (message, write) => write(inOneLine(message)) })
    .showSuggestionAfterError()
    .addHelpText('after', HELP);
  addServeCommand(program);
  addImportCommand(program);
  addExportCommand(program);
  addSearchCommand(program);
  addDuplicatesCommand(program);
  addEmbedCommand(program);
  addMaskCommand(program);
  addCosegmentCommand(program);
  addAttentionCommand(program);
  addModelsCommand(program);
  addTrainCommand(program);
  addEvaluateCommand(program);
  addCollectionsCommand(program);
  addAliasesCommand(program);
  addJobsCommand(program);
  addSnapshotsCommand(program);
  return program;
}

const HELP = `
The commands use the server at --url or DINO_URL; else the one that runs on the data folder; else they run the
service themselves for as long as they take.

Example:
  $ dino import ~/photos --collection holiday
  $ dino search cat.jpg --collection holiday
`;

function inOneLine(message: string): string {
  const line = message
    .trim()
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ');
  return `dino: ${line}${/unknown command/.test(line) ? ' See dino --help.' : ''}\n`;
}

function readVersion(): string {
  const content = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(content) as { version: string }).version;
}
