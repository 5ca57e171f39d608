import { element } from './elements.js';

/** A photo comes from the file picker, is dropped anywhere on the page, or is pasted. */
export function listenForPhotos(parts: {
  onPhoto: (file: File) => void;
  onBatch: (files: File[]) => void;
}): void {
  const { onPhoto, onBatch } = parts;
  const input = element('photo', HTMLInputElement);
  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    // The same file may be chosen again.
    input.value = '';
    if (file !== undefined) onPhoto(file);
  });

  document.addEventListener('paste', (event) => {
    const [file] = event.clipboardData?.files ?? [];
    if (file === undefined) return;
    event.preventDefault();
    onPhoto(file);
  });

  // Entering a child comes before leaving its parent, so the depth is 0 only outside the page.
  let depth = 0;
  const mark = (change: number) => {
    depth = Math.max(0, depth + change);
    document.body.classList.toggle('dragging', depth > 0);
  };
  document.addEventListener('dragenter', (event) => hasFiles(event) && mark(1));
  document.addEventListener('dragleave', (event) => hasFiles(event) && mark(-1));
  document.addEventListener('dragover', (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  document.addEventListener('drop', (event) => {
    mark(-Infinity);
    const files = [...(event.dataTransfer?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    const isForForm = event.target instanceof Node && element('add', HTMLElement).contains(event.target);
    if (isForForm || files.length > 1) onBatch(files);
    else onPhoto(files[0]!);
  });
}

function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') ?? false;
}
