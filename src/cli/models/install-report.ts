import { formatBytes } from '../../models/download/byte-size.js';
import { describeModel } from '../../models/importing/import-model.js';
import type { ModelDescription } from '../../models/onnx/architecture-metadata.js';
import type { Manifest } from '../../models/manifest.js';
import { createByteProgress, type ByteProgress } from '../byte-progress.js';
import type { InstallFlags } from './import-options.js';

/** Tells step by step what is going on: results on standard output, progress on standard error. */
export class InstallReport {
  readonly #asJson: boolean;
  #progress: { readonly title: string; readonly bar: ByteProgress } | undefined;

  constructor({ json }: Pick<InstallFlags, 'json'>) {
    this.#asJson = json;
  }

  /** Prints a line for people. */
  say(line: string): void {
    this.endProgress();
    if (!this.#asJson) process.stdout.write(`${line}\n`);
  }

  progress(title: string, doneBytes: number, totalBytes: number | undefined): void {
    if (this.#progress?.title !== title) {
      this.endProgress();
      this.#progress = { title, bar: createByteProgress({ title, doneBytes, totalBytes }) };
    }
    this.#progress.bar.update(doneBytes);
  }

  /** Prints something that happened on the way. */
  note(text: string): void {
    if (this.#progress === undefined) process.stderr.write(`${text}\n`);
    else this.#progress.bar.note(text);
  }

  endProgress(): void {
    this.#progress?.bar.stop();
    this.#progress = undefined;
  }

  licence(name: string, url: string | undefined): void {
    this.say(`licence: ${name}${url === undefined ? '' : ` (${url})`}`);
  }

  recognised(shape: ModelDescription): void {
    this.say(`recognised: ${describeModel(shape)}; it gives ${shape.outputs.join(', ')}`);
  }

  installed(
    { folder, manifest }: { readonly folder: string; readonly manifest: Manifest },
    { dataDir }: Pick<InstallFlags, 'dataDir'>,
  ): void {
    this.endProgress();
    const { name, file } = manifest;
    if (this.#asJson) {
      process.stdout.write(`${JSON.stringify({ name, folder, fingerprint: file.sha256, manifest })}\n`);
      return;
    }
    const bytes = file.bytes + (file.data?.bytes ?? 0);
    const options = dataDir === undefined ? '' : ` --data-dir ${shellQuoted(dataDir)}`;
    this.say(`installed ${name}: ${formatBytes(bytes)}, ${file.precision}, in ${folder}`);
    this.say(`fingerprint: ${file.sha256}`);
    this.say(`next: dino embed photo.jpg --model ${name}${options}`);
  }
}

function shellQuoted(text: string): string {
  return /^[\w./~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
