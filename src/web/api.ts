import type { components } from '../client/schema.js';
import { askForKey } from './key-dialog.js';

type Schemas = components['schemas'];
export type AttentionMaps = Omit<Schemas['AttentionResponse'], 'attention'> & { attention: number[][] };
export type BatchResponse = Schemas['BatchResponse'];
export type Collection = Schemas['CollectionResource'];
export type CollectionList = Schemas['CollectionListResponse'];
export type ImageList = Schemas['ImageListResponse'];
export type Mask = Schemas['Mask'];
export type MaskAnswer = Schemas['MaskResponse'];
export type Metadata = Schemas['Metadata'];
export type Model = Schemas['ModelResource'];
export type ModelList = Schemas['ModelListResponse'];
export type SearchAnswer = Schemas['SearchResponse'];
export type StoredImage = Schemas['ImageResource'];

const KEY_ITEM = 'dino-api-key';

/** Any answer but success, or none at all. The message is the problem's `detail`, for the person at the page. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  /**
   * @param status of the answer; 0 where there was none
   * @param retryAfterSeconds what the server asks to wait, if it does
   */
  constructor(
    message: string,
    readonly status: number,
    readonly retryAfterSeconds?: number,
  ) {
    super(message);
  }
}

/** What to say of a file that is not. */
export const UNREADABLE = 'The file can’t be read: it may have been moved or changed, or be a folder.';

/** A file of a form is only a reference: what it refers to may change, or go. */
export async function isReadable(file: File): Promise<boolean> {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** Whether requests go with a key. */
export function hasKey(): boolean {
  return sessionStorage.getItem(KEY_ITEM) !== null;
}

/** Path of a stored image; ids may hold slashes. */
export function imagePath(collection: string, id: string, part = ''): string {
  return `${collectionPath(collection)}/images/${encodeURIComponent(id)}${part}`;
}

export function collectionPath(collection: string): string {
  return `v1/collections/${encodeURIComponent(collection)}`;
}

/**
 * Sends a request; where the server wants a key, asks for one and sends it again.
 *
 * @param path relative to the page, so that both may live under a prefix
 * @throws ApiError for every answer but success; the signal's reason when aborted
 */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  for (;;) {
    const key = sessionStorage.getItem(KEY_ITEM);
    const response = await send(path, init, key);
    if (response.ok) return response;
    const error = await readError(response);
    if (error.status !== 401) throw error;
    // Another request may have brought a key while this one was under way.
    if (sessionStorage.getItem(KEY_ITEM) !== key) continue;
    const given = await askForKey(key === null ? undefined : `That key was not accepted. ${error.message}`);
    if (given === undefined) throw error;
    sessionStorage.setItem(KEY_ITEM, given);
  }
}

/** @throws ApiError as `request` does */
export async function requestJson<T>(path: string, init: RequestInit = {}): Promise<T> {
  const response = await request(path, init);
  return (await response.json()) as T;
}

/** A POST of JSON. */
export function jsonBody(body: unknown): RequestInit {
  return { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
}

/**
 * Where an `<img>` finds a picture of the server: its path, or, since an `<img>` sends no key, its bytes.
 *
 * @returns a URL; give it to `URL.revokeObjectURL` when the picture is no longer shown
 */
export async function pictureUrl(path: string, signal?: AbortSignal): Promise<string> {
  if (!hasKey()) return path;
  const response = await request(path, { signal });
  return URL.createObjectURL(await response.blob());
}

async function send(path: string, init: RequestInit, key: string | null): Promise<Response> {
  const headers = new Headers(init.headers);
  if (key !== null) headers.set('Authorization', `Bearer ${key}`);
  try {
    return await fetch(path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    if (init.body instanceof File && !(await isReadable(init.body))) throw new ApiError(UNREADABLE, 0);
    throw new ApiError('No answer came from the server. Is it still running?', 0);
  }
}

async function readError(response: Response): Promise<ApiError> {
  const text = await response.text();
  const wait = Number(response.headers.get('Retry-After') ?? NaN);
  return new ApiError(
    detailOf(text) ?? `The server answered ${response.status} ${response.statusText}.`,
    response.status,
    wait || undefined,
  );
}

/** The `detail` of problem+json; undefined for what a proxy may answer in the server's place. */
function detailOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as Partial<Schemas['Problem']>).detail;
  } catch {
    return undefined;
  }
}
