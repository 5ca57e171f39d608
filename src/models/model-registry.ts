import { DinoError } from '../errors.js';
import type { FeatureExtractor } from '../inference/feature-extractor.js';
import type { AskedFeature } from '../inference/features.js';
import { OnDemandExtractor } from '../inference/on-demand-extractor.js';
import type { Places } from '../inference/places.js';
import type { Manifest } from './manifest.js';
import { Mutex } from './mutex.js';
import { deleteHiddenFolders, hideFolder } from './remove-folder.js';
import {
  scanModels,
  type FoundModel,
  type ModelFolders,
  type ModelSource,
  type UnusableModel,
} from './scan-models.js';

/** A model that is there, loaded or not. */
export interface Model {
  readonly name: string;
  readonly manifest: Manifest;
  /** SHA-256 of the ONNX file: tells vectors of two models apart. */
  readonly fingerprint: string;
  readonly source: ModelSource;
  readonly folder: string;
  /** Loads the model when it is used. */
  readonly extractor: OnDemandExtractor;
}

export interface ModelRegistryOptions {
  readonly folders: ModelFolders;
  /** Name of the model used where a request names none; it is always loaded. */
  readonly defaultModel: string;
  /** Checks a model's files, opens it and warms it up. */
  readonly open: (manifest: Manifest, folder: string) => Promise<FeatureExtractor>;
  readonly places: Places;
  /** Called once for each folder that can't be used. */
  readonly onWarning: (message: string) => void;
}

/** What a caller knows the features as. */
const CALLED: Record<AskedFeature, string> = {
  embedding: 'embedding',
  patch_tokens: 'patch tokens',
  attention: 'attention maps',
  keys: 'attention keys, which TokenCut and LOST work on',
  rollout: 'attention between all its tokens in every block, which rollout goes through',
};

/**
 * The models that are there, by name. Folders that come and go while the service runs are noticed whenever a model is
 * asked for that is not in memory; one that is in memory stays what it is until it is unloaded, whatever becomes of its
 * folder.
 */
export class ModelRegistry {
  readonly #options: ModelRegistryOptions;
  readonly #models = new Map<string, Model>();
  /** Scans, removals and what must not happen during a removal. */
  readonly #changes = new Mutex();
  #unusable: readonly UnusableModel[] = [];
  #nextScan: Promise<void> | undefined;

  private constructor(options: ModelRegistryOptions) {
    this.#options = options;
  }

  /**
   * Reads every manifest and loads the default model. What is wrong with another model is a warning.
   *
   * @throws Error when the default model is not there or can't be loaded
   */
  static async open(options: ModelRegistryOptions): Promise<ModelRegistry> {
    const registry = new ModelRegistry(options);
    const { folders, defaultModel } = options;
    await deleteHiddenFolders(folders.installed);
    await registry.#rescan();
    if (!registry.#models.has(defaultModel)) {
      const reason = registry.#unusable.find(({ name }) => name === defaultModel)?.reason;
      if (reason !== undefined) throw new Error(`the model ${defaultModel} can't be used: ${reason}`);
      const places = `${folders.bundled} or ${folders.installed}`;
      throw new Error(`the model ${defaultModel} is not in ${places}; there are: ${registry.#names()}`);
    }
    await registry.default.extractor.load();
    return registry;
  }

  get default(): Model {
    return this.#models.get(this.#options.defaultModel)!;
  }

  /** Images that wait for any of the models. */
  get queueLength(): number {
    return [...this.#models.values()].reduce((sum, { extractor }) => sum + extractor.queueLength, 0);
  }

  /** All that are there now, in order of name, and the folders that can't be used. */
  async list(): Promise<{ models: Model[]; unusable: readonly UnusableModel[] }> {
    await this.#rescan();
    const models = [...this.#models.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    return { models, unusable: this.#unusable };
  }

  /** @throws DinoError not-found, or internal where its folder can't be used; without a name: the default model */
  async get(name?: string): Promise<Model> {
    if (name === undefined) return this.default;
    const model = await this.#find(() => this.#models.get(name));
    return model ?? this.#refuse(name);
  }

  /**
   * The model with this fingerprint. Where several names have it, the preferred one, else one that is in memory.
   *
   * @param preferred a name
   */
  findByFingerprint(fingerprint: string, preferred: string): Promise<Model | undefined> {
    return this.#find(() => {
      const same = [...this.#models.values()].filter((model) => model.fingerprint === fingerprint);
      return same.find(({ name }) => name === preferred) ?? same.find(isInMemory) ?? same[0];
    });
  }

  /** @throws DinoError invalid-request where the model lacks one of the features, naming models that don't */
  requireFeatures({ name, manifest }: Model, features: readonly AskedFeature[]): void {
    const missing = features.filter((feature) => !gives(manifest, feature));
    if (missing.length === 0) return;
    const what = missing.map((feature) => CALLED[feature]).join(' and no ');
    const others = this.#namesWith(features).join(', ') || 'none that is installed';
    const detail = `The model ${name} (${manifest.architecture.variant}) has no ${what}. Models that have: ${others}.`;
    throw new DinoError('invalid-request', detail);
  }

  #namesWith(features: readonly AskedFeature[]): string[] {
    const having = [...this.#models.values()].filter(({ manifest }) =>
      features.every((feature) => gives(manifest, feature)),
    );
    return having.map(({ name }) => name).sort();
  }

  /** Does `work` while the model can't be removed. @throws DinoError as `get` does */
  async whileInstalled<T>(name: string | undefined, work: (model: Model) => Promise<T>): Promise<T> {
    const model = await this.get(name);
    return this.#changes.run(() => work(this.#models.get(model.name) ?? this.#refuse(model.name)));
  }

  /** Loads and warms a model up, unless it is ready. @throws DinoError as `get` does; internal when it can't be loaded */
  async load(name: string): Promise<Model> {
    const model = await this.get(name);
    await model.extractor.load();
    return model;
  }

  /** Waits for what uses the model, then gives its memory back. @throws DinoError as `get` does; conflict for the default */
  async unload(name: string): Promise<Model> {
    const model = await this.get(name);
    if (model === this.default) {
      const detail = `${name} is the default model, which is always loaded. Start the service with another DINO_MODEL first.`;
      throw new DinoError('conflict', detail);
    }
    await model.extractor.unload();
    return model;
  }

  /**
   * Removes an installed model from the disk once nothing uses it; also a folder of that name that can't be used.
   *
   * @param check called before anything has changed, with the names of other models of the same fingerprint; what it
   *   throws keeps the model
   * @throws DinoError not-found; conflict for the default model and for one that the service brought along
   */
  async remove(
    name: string,
    check: (model: Model, twins: readonly string[]) => Promise<void>,
  ): Promise<void> {
    await this.#rescan();
    const finish = await this.#changes.run(async () => {
      const model = this.#models.get(name);
      const { folder, source } =
        model ?? this.#unusable.find((found) => found.name === name) ?? this.#refuse(name);
      if (name === this.#options.defaultModel) {
        throw new DinoError(
          'conflict',
          `${name} is the default model. Start the service with another DINO_MODEL first.`,
        );
      }
      if (source === 'bundled') {
        throw new DinoError(
          'conflict',
          `${name} came with the service. Only models that were installed can be removed.`,
        );
      }
      if (model !== undefined) await check(model, this.#twinsOf(model));
      const deleteFiles = await hideFolder(folder);
      this.#models.delete(name);
      // Outside of the lock: requests that use it may take their time.
      return async () => {
        await model?.extractor.close();
        await deleteFiles();
      };
    });
    await finish();
    await this.#rescan();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#models.values()].map(({ extractor }) => extractor.close()));
  }

  /** Looks again after a scan where what is found is not in memory: its folder may have been replaced. */
  async #find(find: () => Model | undefined): Promise<Model | undefined> {
    const known = find();
    if (known !== undefined && isInMemory(known)) return known;
    await this.#rescan();
    return find();
  }

  #rescan(): Promise<void> {
    this.#nextScan ??= this.#changes.run(async () => {
      this.#nextScan = undefined;
      await this.#scan();
    });
    return this.#nextScan;
  }

  async #scan(): Promise<void> {
    const { found, unusable } = await scanModels(this.#options.folders);
    const byName = new Map(found.map((model) => [model.manifest.name, model]));
    for (const model of this.#models.values()) {
      const now = byName.get(model.name);
      const isSame = now?.folder === model.folder && now.manifest.file.sha256 === model.fingerprint;
      if (isSame || isInMemory(model)) continue;
      this.#models.delete(model.name);
      void model.extractor.close();
    }
    for (const model of found) {
      if (!this.#models.has(model.manifest.name)) this.#models.set(model.manifest.name, this.#create(model));
    }
    const before = this.#unusable.map(({ reason }) => reason);
    for (const { folder, reason } of unusable) {
      if (!before.includes(reason))
        this.#options.onWarning(`the model in ${folder} can't be used: ${reason}`);
    }
    this.#unusable = unusable;
  }

  #create({ manifest, folder, source }: FoundModel): Model {
    const { name, file } = manifest;
    const { open, places } = this.#options;
    const extractor = new OnDemandExtractor({ name, places, open: () => open(manifest, folder) });
    return { name, manifest, fingerprint: file.sha256, source, folder, extractor };
  }

  #twinsOf(model: Model): string[] {
    const others = [...this.#models.values()].filter((other) => other !== model);
    return others.filter(({ fingerprint }) => fingerprint === model.fingerprint).map(({ name }) => name);
  }

  #refuse(name: string): never {
    const unusable = this.#unusable.find((found) => found.name === name);
    if (unusable !== undefined) {
      throw new DinoError('internal', `The model ${name} can't be used: ${unusable.reason}`);
    }
    throw new DinoError('not-found', `There is no model ${name}. There are: ${this.#names()}.`);
  }

  #names(): string {
    return [...this.#models.keys()].sort().join(', ') || 'none';
  }
}

function gives({ outputs, architecture }: Manifest, feature: AskedFeature): boolean {
  if (feature !== 'rollout') return outputs[feature] !== undefined;
  // XCiT's blocks mix channels; only its last layers have attention to tokens, and that of CLS alone.
  return outputs.attention !== undefined && architecture.family !== 'xcit';
}

function isInMemory({ extractor }: Model): boolean {
  return extractor.status !== 'available' && extractor.status !== 'failed';
}
