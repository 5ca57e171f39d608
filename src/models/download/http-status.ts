import type { HttpResponse } from './http-client.js';

/** Whether the same request may succeed later. */
export function isTransient(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** What the server asks for in `Retry-After`: seconds or a date. */
export function retryAfterMs({ headers }: Pick<HttpResponse, 'headers'>): number | undefined {
  const value = headers.get('retry-after');
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}

/** A refusal in words, with what to do about it. */
export function explainStatus(
  { status, headers }: Pick<HttpResponse, 'status' | 'headers'>,
  url: string,
): string {
  if (isTransient(status)) return `${new URL(url).host} answers ${status}`;
  // What the hub of Hugging Face says beside the status.
  const reason = headers.get('x-error-code');
  if (reason === 'GatedRepo') {
    return `${url} is given to those alone who have accepted its licence on the repository's page. Do so, make a token at https://huggingface.co/settings/tokens and set HF_TOKEN to it.`;
  }
  if (reason === 'RepoNotFound') {
    return `There is no such repository, or it is private: ${url}. Check its name; for a private one set HF_TOKEN.`;
  }
  if (reason === 'RevisionNotFound') return `The repository has no such revision: ${url}.`;
  switch (status) {
    case 401:
    case 403:
      return `${url} may not be read (${status}). Check the address, or whether a token is needed.`;
    case 404:
    case 410:
      return `There is no ${url} (${status}). Check the name; for a mirror, give its address with --from.`;
    default:
      return `${url} can't be downloaded: the server answers ${status}.`;
  }
}
