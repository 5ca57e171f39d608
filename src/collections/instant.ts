const FORM =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d+))?)?(Z|[+-](?:0\d|1[0-4]):[0-5]\d)?)?$/;

/**
 * Seconds since 1970, to the millisecond, of a date in ISO 8601: `2024-05-01`, `2024-05-01T10:00`, with
 * seconds and their fraction or without; in UTC unless it ends in an offset such as `+02:00`.
 *
 * @returns undefined where the text is no such date
 */
export function toInstant(text: string): number | undefined {
  const [, day, minutes = '00:00', seconds = '00', fraction = '0', zone = 'Z'] = FORM.exec(text) ?? [];
  if (day === undefined) return undefined;
  const midnight = Date.parse(`${day}T00:00:00Z`);
  // The parser takes the 31st of February for the 3rd of March.
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return undefined;
  const milliseconds = Date.parse(`${day}T${minutes}:${seconds}${zone}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return (milliseconds + Math.round(Number(`0.${fraction}`) * 1000)) / 1000;
}
