import { judge } from './goals.js';
import { describeMachine, type Report } from './report.js';

const MARKS = ['<!-- measured -->', '<!-- /measured -->'] as const;

/**
 * Fills the marked place of docs/performance.md from reports, so that no number there is typed in by hand.
 *
 * @throws Error when the page has no such place
 */
export function fillPage(page: string, reports: Readonly<Record<string, Report>>): string {
  const [before, after] = [page.split(MARKS[0])[0], page.split(MARKS[1])[1]];
  if (before === undefined || after === undefined)
    throw new Error('the page has no place marked for what is measured');
  const parts = [
    goalTable(reports),
    ...Object.entries(reports).map(([verb, report]) => section(verb, report)),
  ];
  return [before, MARKS[0], '\n\n', parts.join('\n\n'), '\n\n', MARKS[1], after].join('');
}

function goalTable(reports: Readonly<Record<string, Report>>): string {
  const rows = Object.entries(reports).flatMap(([verb, { goals }]) =>
    judge(goals).map(({ goal, value, wanted, met }) => [goal, value, wanted, met, `\`${verb}\``]),
  );
  return table(['what', 'measured', 'goal', 'met', 'by'], rows);
}

function section(verb: string, report: Report): string {
  const { machine, measuredAt, settings } = report;
  const busy =
    machine.loadAtStart > machine.cores / 4
      ? ' **Other work ran on the machine: read the ratios, not the rates.**'
      : '';
  const told = Object.entries(settings)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `--${name} ${value}`)
    .join(' ');
  const tables = Object.entries(report.tables).map(([title, rows]) => {
    const columns = [...new Set(Object.values(rows).flatMap((row) => Object.keys(row)))];
    const body = Object.entries(rows).map(([name, row]) => [
      name,
      ...columns.map((column) => String(row[column] ?? '')),
    ]);
    return `${title[0]!.toUpperCase()}${title.slice(1)}:\n\n${table(['', ...columns], body)}`;
  });
  return [
    `### \`${verb}\`, ${measuredAt.slice(0, 10)}`,
    `${describeMachine(machine)}.${busy}`,
    `\`npm run bench -- ${verb} ${told}\``,
    ...tables,
  ].join('\n\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replace(/\|/g, '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
