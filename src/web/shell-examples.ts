import { element } from './elements.js';
import { nameOf, type Subject } from './subject.js';

/** The page's questions as they are asked from a shell, with the settings that are chosen at the moment. */
export function showShellExamples(settings: {
  subject: Subject | undefined;
  collection: string | undefined;
  k: number;
  threshold: number;
}): void {
  const { subject, collection = 'photos', k, threshold } = settings;
  const base = new URL('.', location.href).href;
  const search = `${base}v1/collections/${encodeURIComponent(collection)}/search`;
  const questions: [string, string][] = [
    ['Attention, all heads as one picture', `${base}v1/attention?overlay=true`],
    ['Mask', `${base}v1/masks?threshold=${threshold}`],
    [`The ${k} nearest in ${collection}`, search],
    ['Embedding', `${base}v1/embeddings`],
  ];
  element('shell', HTMLElement).textContent = questions
    .map(([title, url]) => `# ${title}\n${command(url, subject, k)}`)
    .join('\n\n');
}

function command(url: string, subject: Subject | undefined, k: number): string {
  const output = url.includes('overlay') ? " -H 'Accept: image/png' -o attention.png" : '';
  const isSearch = url.endsWith('/search');
  if (subject === undefined || 'file' in subject) {
    const name = subject === undefined ? 'photo.jpg' : nameOf(subject);
    return `curl${output} -H 'Content-Type: image/jpeg' --data-binary ${quote(`@${name}`)} ${quote(isSearch ? `${url}?k=${k}` : url)}`;
  }
  const { collection, id } = subject;
  const isOwn = isSearch && url.includes(`/collections/${encodeURIComponent(collection)}/`);
  const image = { collection, id };
  const body = isOwn ? { id, k } : isSearch ? { image, k } : url.endsWith('/embeddings') ? { input: image } : { image };
  return `curl${output} --json ${quote(JSON.stringify(body))} ${quote(url)}`;
}

/** One word of a POSIX shell. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
