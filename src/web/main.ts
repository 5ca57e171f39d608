import { AddPhotos } from './add-photos.js';
import { ApiError, type Model } from './api.js';
import { AttentionPanel } from './attention-panel.js';
import { Collections } from './collections.js';
import { element } from './elements.js';
import { MaskPanel } from './mask-panel.js';
import { showModel } from './model-line.js';
import { NeighboursPanel } from './neighbours-panel.js';
import { listenForPhotos } from './photo-input.js';
import { PhotoPanel } from './photo-panel.js';
import { showShellExamples } from './shell-examples.js';
import { nameOf, type Subject } from './subject.js';
import { Trail } from './trail.js';

/** Statuses that say: this image can't be read. */
const UNREADABLE = [413, 415, 422];

const serverProblem = element('server-problem', HTMLElement);
const back = element('back', HTMLButtonElement);
const add = element('add', HTMLDetailsElement);

const photo = new PhotoPanel(refusePhoto);
const attention = new AttentionPanel(refusePhoto);
const mask = new MaskPanel({ refuse: refusePhoto, onSettings: showExamples });
const collections = new Collections(() => {
  showExamples();
  void neighbours.update();
});
const neighbours = new NeighboursPanel({
  collections,
  refuse: (error) => UNREADABLE.includes(error.status) && refusePhoto(error),
  onPick(picked) {
    visit(picked);
    // The button that was pressed is about to go.
    neighbours.focus();
  },
  onSettings: showExamples,
});
const addPhotos = new AddPhotos({ collections, onStored: refresh });
const trail = new Trail((returned) => void show(returned));
let subject = trail.current;
let model: Model | undefined;

/** Shows everything there is to know about a subject, or, without one, where to begin. */
async function show(next: Subject | undefined): Promise<void> {
  subject = next;
  document.body.classList.toggle('has-subject', next !== undefined);
  back.hidden = !trail.hasPast;
  showExamples();
  if (next === undefined) {
    for (const panel of [photo, attention, mask]) panel.clear();
    await neighbours.show(undefined);
  } else {
    const original = photo.show(next);
    // What the model can't do is not asked of it.
    await modelKnown;
    if (subject !== next) return;
    // The search is the quickest of them for the model, so it goes before the large ones.
    await Promise.all([original, ...[neighbours, attention, mask].map((panel) => panel.show(next))]);
  }
}

function visit(next: Subject): void {
  trail.go(next);
  void show(next);
}

/** A photo that can't be read is refused once and as a whole, not by each panel. */
function refusePhoto(error: ApiError): boolean {
  const isItsFault = error.status >= 400 && error.status < 500 && ![401, 429].includes(error.status);
  if (isItsFault) {
    const name = subject === undefined ? '' : `${nameOf(subject)}: `;
    void show(undefined);
    photo.refuse(name + error.message);
  }
  return isItsFault;
}

/** Asks what collections there are. */
async function refresh(preferred?: string): Promise<void> {
  await reportingProblems(() => collections.refresh(preferred));
  add.open ||= collections.selected === undefined;
  showExamples();
  await neighbours.update();
}

async function reportingProblems(task: () => Promise<void>): Promise<void> {
  try {
    await task();
    serverProblem.textContent = '';
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    serverProblem.textContent = error.message;
  }
}

function showExamples(): void {
  showShellExamples({
    outputs: model?.outputs,
    subject,
    collection: collections.selected?.name,
    k: neighbours.k,
    threshold: mask.threshold,
  });
}

listenForPhotos({
  onPhoto: (file) => visit({ file }),
  onBatch(files) {
    addPhotos.choose(files);
    add.open = true;
    add.scrollIntoView({ block: 'nearest' });
  },
});
// Photos may have been imported from a shell in the meantime.
window.addEventListener('focus', () => {
  if (collections.selected === undefined || collections.selected.count === 0) void refresh();
});
back.addEventListener('click', () => history.back());

const linked = subject;
const modelKnown = reportingProblems(async () => {
  model = await showModel();
  if (model === undefined) return;
  attention.offer(model);
  mask.offer(model);
});
if (linked !== undefined) void show(linked);
await modelKnown;
await refresh(linked !== undefined && 'collection' in linked ? linked.collection : undefined);
