import type { Priority } from '../../caller.js';

/** RFC 9218: 0 is the most urgent, 7 is for the background. */
const DEFAULT_URGENCY = 3;

/**
 * The priority that a request asks for by `Priority: u=…` (RFC 9218): bulk for whatever is less urgent than the default.
 * As the RFC has it, a value that can't be read counts as none.
 */
export function priorityOf(header: string | undefined): Priority {
  return urgencyOf(header ?? '') > DEFAULT_URGENCY ? 'bulk' : 'interactive';
}

function urgencyOf(header: string): number {
  // The last of several counts (RFC 8941, section 4.2.2); parameters of a member mean nothing here.
  const members = header.split(',').map((member) => /^u=([0-7])(;.*)?$/.exec(member.trim())?.[1]);
  return Number(members.filter((urgency) => urgency !== undefined).at(-1) ?? DEFAULT_URGENCY);
}
