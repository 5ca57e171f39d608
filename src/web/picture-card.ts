import { imagePath, pictureUrl, type Metadata } from './api.js';
import { create } from './elements.js';
import { displayName, fieldText, type StoredSubject } from './subject.js';

/** Fields shown under a picture at most. */
const MAX_FIELDS = 3;

/** A stored picture as a button: its thumbnail, its name, and its score where there is one. */
export function pictureCard(
  picture: StoredSubject & { score?: number },
  onPick: (subject: StoredSubject) => void,
): HTMLLIElement {
  const { collection, id, metadata = {}, score } = picture;
  const name = displayName(id, metadata);
  const image = create('img', { alt: '', width: 160, height: 160 });
  void showThumbnail(image, collection, id);
  const button = create('button', { type: 'button', className: 'picture', title: id }, image);
  const caption = create(
    'span',
    { className: 'caption' },
    create('span', { className: 'name', textContent: name }),
  );
  if (score !== undefined) {
    const value = create('span', { className: 'score', textContent: score.toFixed(3) });
    value.style.setProperty('--score', String(Math.max(0, score)));
    caption.prepend(value);
  }
  const fields = shownFields(metadata);
  if (fields.length > 0)
    caption.append(...fields.map((text) => create('span', { className: 'field', textContent: text })));
  button.append(caption);
  button.ariaLabel = [`More like ${name}`, score === undefined ? '' : `score ${score.toFixed(3)}`, ...fields]
    .filter(Boolean)
    .join(', ');
  button.addEventListener('click', () => onPick({ collection, id, metadata }));
  return create('li', {}, button);
}

function shownFields(metadata: Metadata): string[] {
  return Object.entries(metadata)
    .filter(([field]) => field !== 'file')
    .slice(0, MAX_FIELDS)
    .map(([field, value]) => `${field}: ${fieldText(value)}`);
}

async function showThumbnail(image: HTMLImageElement, collection: string, id: string): Promise<void> {
  const failed = () => image.classList.add('missing');
  image.addEventListener('error', failed, { once: true });
  try {
    const url = await pictureUrl(imagePath(collection, id, '/thumbnail'));
    image.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
    image.src = url;
  } catch {
    // The card still has its name and does its work; whatever is wrong with the server shows in the panels.
    failed();
  }
}
