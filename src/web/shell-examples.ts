import { collectionPath, hasKey, type Model } from './api.js';
import { element } from './elements.js';
import type { StoredSubject, Subject } from './subject.js';

/** What the page asks at the moment. */
interface Settings {
  /** What the server's model gives; undefined as long as it is not known. */
  readonly outputs: Model['outputs'] | undefined;
  readonly subject: Subject | undefined;
  readonly collection: string | undefined;
  readonly k: number;
  readonly threshold: number;
}

interface Question {
  readonly title: string;
  readonly path: string;
  readonly options: Readonly<Record<string, string | number | boolean>>;
  /** More words for curl. */
  readonly words?: readonly string[];
}

/** Shows the page's questions as they are asked from a shell. */
export function showShellExamples(settings: Settings): void {
  const { outputs = ['attention'], subject, collection = 'photos', k, threshold } = settings;
  const picture = ['-H', 'Accept: image/png', '-o', 'attention.png'];
  const attention: Question[] = [
    {
      title: 'Attention of all heads, as a picture',
      path: 'v1/attention',
      options: { overlay: true },
      words: picture,
    },
    { title: 'Mask', path: 'v1/masks', options: { threshold } },
  ];
  const questions: Question[] = [
    ...(outputs.includes('attention') ? attention : []),
    {
      title: `The ${k} nearest in ${collection}`,
      path: `${collectionPath(collection)}/search`,
      options: { k },
    },
    { title: 'Embedding', path: 'v1/embeddings', options: {} },
  ];
  element('shell', HTMLElement).textContent = questions
    .map((question) => `# ${question.title}\n${curl(question, subject)}`)
    .join('\n\n');
}

function curl({ path, options, words = [] }: Question, subject: Subject | undefined): string {
  const url = new URL(path, location.href.replace(/[?#].*/, '')).href;
  const key = hasKey() ? ' -H "Authorization: Bearer $DINO_API_KEY"' : '';
  const before = ['curl', ...words.map(quote)].join(' ') + key;
  if (subject !== undefined && !('file' in subject)) {
    const body = JSON.stringify(storedBody(path, options, subject));
    return `${before} -H 'Content-Type: application/json' -d ${quote(body)} ${quote(url)}`;
  }
  const { name, type } = subject?.file ?? { name: 'photo.jpg', type: 'image/jpeg' };
  const query = new URLSearchParams(
    Object.entries(options).map(([option, value]) => [option, String(value)]),
  );
  const address = query.size === 0 ? url : `${url}?${query}`;
  const mediaType = type.startsWith('image/') ? type : 'application/octet-stream';
  return `${before} -H ${quote(`Content-Type: ${mediaType}`)} --data-binary ${quote(`@${name}`)} ${quote(address)}`;
}

/** As the page itself asks: in its own collection a stored image is searched by its id. */
function storedBody(path: string, options: Question['options'], { collection, id }: StoredSubject): object {
  if (path === 'v1/embeddings') return { input: { collection, id } };
  if (path === `${collectionPath(collection)}/search`) return { id, ...options };
  return { image: { collection, id }, ...options };
}

/** One word of a POSIX shell. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
