import { hierarchy, partition, type HierarchyRectangularNode } from 'd3-hierarchy';
import { z } from 'zod';

/** What Node's `--cpu-prof` writes; see Profiler.Profile of the DevTools protocol. */
const profileSchema = z.object({
  nodes: z.array(
    z.object({
      id: z.number(),
      callFrame: z.object({ functionName: z.string(), url: z.string() }),
      children: z.array(z.number()).optional(),
    }),
  ),
  samples: z.array(z.number()),
  timeDeltas: z.array(z.number()),
});

/** A function as it was called from those above it. */
export interface Frame {
  readonly name: string;
  /** Where it comes from: a file of the service, a package, or Node. */
  readonly place: string;
  /** Microseconds in it, without those it called. */
  self: number;
  readonly children: Frame[];
}

export interface Flames {
  readonly root: Frame;
  /** Share of the time in which the thread had nothing to do. */
  readonly idle: number;
}

const IDLE = '(idle)';

/**
 * Frames of a profile. Calls of the same function from the same place become one, and paths lose what is of the machine.
 *
 * @param text a `.cpuprofile`
 * @param window part of it that counts, in ms since the process started
 */
export function readProfile(text: string, window: { from: number; to: number }): Flames {
  const { nodes, samples, timeDeltas } = profileSchema.parse(JSON.parse(text));
  const spent = new Map<number, number>();
  let at = 0;
  samples.forEach((id, i) => {
    at += timeDeltas[i]!;
    if (at < window.from * 1000 || at > window.to * 1000) return;
    spent.set(id, (spent.get(id) ?? 0) + Math.max(0, timeDeltas[i]!));
  });
  if (spent.size === 0) throw new Error('the profile has nothing of that time');
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const all = [...spent.values()].reduce((sum, time) => sum + time, 0);
  let idle = 0;
  const build = (ids: readonly number[]): Frame[] => {
    const frames = new Map<string, { frame: Omit<Frame, 'children'>; below: number[] }>();
    for (const id of ids) {
      const { callFrame, children = [] } = byId.get(id)!;
      const self = spent.get(id) ?? 0;
      if (callFrame.functionName === IDLE) {
        idle += self;
        continue;
      }
      const name = callFrame.functionName || '(anonymous)';
      const place = placeOf(callFrame.url);
      const key = `${name} ${place}`;
      const known = frames.get(key) ?? { frame: { name, place, self: 0 }, below: [] };
      frames.set(key, known);
      known.frame.self += self;
      known.below.push(...children);
    }
    return [...frames.values()].map(({ frame, below }) => ({ ...frame, children: build(below) }));
  };
  const top = build(nodes[0]!.children ?? []);
  return { root: { name: 'the main thread', place: '', self: 0, children: top }, idle: idle / all };
}

/** `file:///any/where/dist/http/x.js` -> `http/x.js`; packages by their name; modules of Node as they are. */
export function placeOf(url: string): string {
  if (url === '' || url.startsWith('node:')) return url;
  const inPackage = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url);
  if (inPackage !== null) return inPackage[1]!;
  return url.split('/dist/').at(-1)!.split('/').slice(-3).join('/');
}

const [WIDTH, ROW, HEAD, TEXT] = [1200, 17, 28, 6.2];
/** Narrower ones are left out, in px: nobody could read them. */
const NARROWEST = 0.6;

/** An SVG in which a frame is as wide as the time in it and in what it called; the callers are above. */
export function drawFlames({ root, idle }: Flames, title: string): string {
  const tree = hierarchy(root, ({ children }) => children)
    .sum(({ self }) => self)
    .sort((a, b) => b.value! - a.value!);
  const laid = partition<Frame>().size([WIDTH, (tree.height + 1) * ROW])(tree);
  const shown = laid.descendants().filter(({ x0, x1 }) => x1 - x0 >= NARROWEST);
  const height = HEAD + Math.max(...shown.map(({ y1 }) => y1));
  const heading = `${title}; idle ${(idle * 100).toFixed(0)} % of the time`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${Math.ceil(height)}" font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="6" y="18" font-size="13">${escape(heading)}</text>`,
    ...shown.map((node) => drawFrame(node, tree.value!)),
    '</svg>\n',
  ].join('\n');
}

function drawFrame({ x0, x1, y0, value, data }: HierarchyRectangularNode<Frame>, all: number): string {
  const width = x1 - x0;
  const label = data.place === '' ? data.name : `${data.name} (${data.place})`;
  const letters = Math.floor((width - 6) / TEXT);
  const shown = letters < 3 ? '' : label.length > letters ? `${label.slice(0, letters - 1)}…` : label;
  const text = shown && `<text x="${fixed(x0 + 3)}" y="${fixed(HEAD + y0 + 12)}">${escape(shown)}</text>`;
  return (
    `<g><title>${escape(label)}: ${((100 * value!) / all).toFixed(1)} %</title>` +
    `<rect x="${fixed(x0)}" y="${fixed(HEAD + y0)}" width="${fixed(width)}" height="${ROW - 1}" fill="${colourOf(data.place)}"/>` +
    `${text}</g>`
  );
}

/** The service's own code stands out from packages, and those from Node and what is not JavaScript. */
function colourOf(place: string): string {
  if (place === '') return '#d9d9d9';
  if (place.startsWith('node:')) return '#c7dcef';
  return place.endsWith('.js') ? '#f4a261' : '#f6dd9c';
}

const fixed = (value: number): string => String(Math.round(value * 10) / 10);

function escape(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
