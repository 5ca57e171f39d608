import { element } from './elements.js';

let open: Promise<string | undefined> | undefined;

/**
 * Asks for an API key; everyone who asks while the dialog is open gets its answer.
 *
 * @param refusal what the server said to the key before
 * @returns undefined where the person would rather not
 */
export function askForKey(refusal: string | undefined): Promise<string | undefined> {
  open ??= ask(refusal).finally(() => (open = undefined));
  return open;
}

function ask(refusal: string | undefined): Promise<string | undefined> {
  const dialog = element('key-dialog', HTMLDialogElement);
  const input = element('key', HTMLInputElement);
  element('key-refusal', HTMLElement).textContent = refusal ?? '';
  input.value = '';
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      'close',
      () => resolve(dialog.returnValue === 'use' && input.value !== '' ? input.value : undefined),
      { once: true },
    );
  });
}
