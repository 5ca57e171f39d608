import { imagePath, jsonBody, pictureUrl, requestJson, type Metadata } from './api.js';

/** A photo from this computer. */
export interface FileSubject {
  readonly file: File;
}

/** An image that the server has. */
export interface StoredSubject {
  readonly collection: string;
  readonly id: string;
  /** Undefined where only the address of the page names the image. */
  readonly metadata?: Metadata;
}

/** What the page is about at the moment. */
export type Subject = FileSubject | StoredSubject;

export function nameOf(subject: Subject): string {
  return 'file' in subject ? subject.file.name : displayName(subject.id, subject.metadata);
}

/** The file's name where it was kept, else the id; a hash is cut short. */
export function displayName(id: string, metadata: Metadata = {}): string {
  if (typeof metadata.file === 'string' && metadata.file !== '') return metadata.file;
  return /^[0-9a-f]{64}$/.test(id) ? `${id.slice(0, 12)}…` : id;
}

/** A metadata value as text. */
export function fieldText(value: Metadata[string]): string {
  return Array.isArray(value) ? value.join(', ') : String(value);
}

/** Where an `<img>` finds it; to be revoked. */
export async function subjectUrl(subject: Subject, signal: AbortSignal): Promise<string> {
  if ('file' in subject) return URL.createObjectURL(subject.file);
  return pictureUrl(imagePath(subject.collection, subject.id, '/content'), signal);
}

/** Asks something about the subject: options go with a file in the query string, with a stored image in JSON. */
export function askAbout<T>(
  subject: Subject,
  path: string,
  options: Record<string, string | number>,
  signal: AbortSignal,
): Promise<T> {
  if (!('file' in subject)) {
    const { collection, id } = subject;
    return requestJson<T>(path, { ...jsonBody({ image: { collection, id }, ...options }), signal });
  }
  const query = new URLSearchParams(Object.entries(options).map(([name, value]) => [name, String(value)]));
  // No media type of our own: the server tells the format by the first bytes, whatever the name says.
  const headers = { 'Content-Type': 'application/octet-stream' };
  return requestJson<T>(query.size === 0 ? path : `${path}?${query}`, {
    method: 'POST',
    headers,
    body: subject.file,
    signal,
  });
}
