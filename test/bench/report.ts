import { existsSync, readFileSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { env } from 'onnxruntime-node';
import { z } from 'zod';
import { GOALS, judge, type GoalKey } from './goals.js';

/** What decides about speed, of all that a processor says it can do. */
const TELLING_FLAGS = /^(avx2|fma|avx512f|avx512_vnni|avx_vnni|amx_int8|asimd|asimddp|i8mm|sve)$/;

const machineSchema = z.object({
  processor: z.string(),
  cores: z.number(),
  instructions: z.array(z.string()),
  memoryGiB: z.number(),
  node: z.string(),
  onnxruntime: z.string(),
  /** Processes that wanted to run, over the minute before the start: of an idle machine about 0. */
  loadAtStart: z.number(),
});
export type Machine = z.infer<typeof machineSchema>;

const cell = z.union([z.number(), z.string()]);
export type Table = Record<string, Record<string, number | string>>;

const reportSchema = z.object({
  /** UTC, to the minute. */
  measuredAt: z.string(),
  machine: machineSchema,
  settings: z.record(z.string(), cell),
  tables: z.record(z.string(), z.record(z.string(), z.record(z.string(), cell))),
  goals: z.partialRecord(z.enum(Object.keys(GOALS) as [GoalKey, ...GoalKey[]]), z.number()),
});
export type Report = z.infer<typeof reportSchema>;

const fileSchema = z.record(z.string(), reportSchema);

/** Facts about where it is measured, and how busy that is before the measuring begins. */
export function inspectMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    instructions: instructionsOf(existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : ''),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    onnxruntime: env.versions.node ?? env.versions.common,
    loadAtStart: Math.round(loadavg()[0]! * 100) / 100,
  };
}

/** @param cpuinfo as Linux shows it */
export function instructionsOf(cpuinfo: string): string[] {
  const line = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1] ?? '';
  return line.split(/\s+/).filter((flag) => TELLING_FLAGS.test(flag));
}

export function describeMachine(machine: Machine): string {
  const { processor, cores, instructions, memoryGiB, node, onnxruntime, loadAtStart } = machine;
  const flags = instructions.length === 0 ? '' : ` (${instructions.join(', ')})`;
  return (
    `${processor}, ${cores} cores${flags}, ${memoryGiB} GiB; Node ${node}, ONNX Runtime ${onnxruntime}; ` +
    `load at start ${loadAtStart}`
  );
}

/** Collects what a verb measures, prints it, and writes it where that was asked for. */
export class Reporter {
  readonly #verb: string;
  readonly #report: Report;

  /** @param settings what was asked for, beside `json` */
  constructor(verb: string, settings: Record<string, number | string | readonly number[]>) {
    this.#verb = verb;
    const told = Object.fromEntries(
      Object.entries(settings)
        .filter(([name]) => name !== 'json')
        .map(([name, value]) => [name, typeof value === 'object' ? value.join() : value]),
    );
    const measuredAt = `${new Date().toISOString().slice(0, 16)}Z`;
    this.#report = { measuredAt, machine: inspectMachine(), settings: told, tables: {}, goals: {} };
    console.log(describeMachine(this.#report.machine));
  }

  /** Prints a table at once: a long run shows what it has. */
  table(title: string, rows: Table): void {
    this.#report.tables[title] = rounded(rows);
    console.log(`\n${title}`);
    console.table(this.#report.tables[title]);
  }

  goal(key: GoalKey, value: number): void {
    this.#report.goals[key] = value;
  }

  /** @param file `''`: nowhere */
  async finish(file: string): Promise<void> {
    const rows = judge(this.#report.goals);
    if (rows.length > 0) console.table(rows);
    if (file !== '') await mergeReport(file, this.#verb, this.#report);
  }
}

/** The reports of a file, by verb. @throws Error that names the file when it is no such file */
export async function readReports(file: string): Promise<Record<string, Report>> {
  try {
    return fileSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw new Error(`${file} holds no reports of npm run bench (${(cause as Error).message})`, { cause });
  }
}

/** Puts a verb's report into a file of several; one that is no such file is left alone, with an error. */
export async function mergeReport(file: string, verb: string, report: Report): Promise<void> {
  const before = existsSync(file) ? await readReports(file) : {};
  const text = JSON.stringify({ ...before, [verb]: report }, undefined, 2);
  await writeFile(`${file}.tmp`, `${text}\n`);
  await rename(`${file}.tmp`, file);
}

function rounded(rows: Table): Table {
  const short = (value: number | string): number | string => {
    // JSON has no NaN: a file with one could not be read again.
    if (typeof value === 'string' || !Number.isFinite(value)) return String(value);
    return Number(value.toPrecision(value >= 1000 ? 6 : 4));
  };
  return Object.fromEntries(
    Object.entries(rows).map(([name, row]) => [
      name,
      Object.fromEntries(Object.entries(row).map(([key, value]) => [key, short(value)])),
    ]),
  );
}
