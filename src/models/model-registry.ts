import { DinoError } from '../errors.js';
import type { FeatureExtractor } from '../inference/feature-extractor.js';
import type { Manifest } from './manifest.js';
import { findModelFolders, readManifest, verifyModelFile } from './model-folder.js';

/** A model that is loaded, warm and ready. */
export interface Model {
  readonly name: string;
  readonly manifest: Manifest;
  /** SHA-256 of the ONNX file: tells vectors of two models apart. */
  readonly fingerprint: string;
  readonly extractor: FeatureExtractor;
}

export interface ModelRegistryOptions {
  /** Folder with a folder per model. */
  readonly modelsDir: string;
  /** Name of the model used where a request names none. */
  readonly defaultModel: string;
  /** Opens one model; called once for each that is found. */
  readonly open: (manifest: Manifest, modelPath: string) => Promise<FeatureExtractor>;
}

/** The models that are loaded, by name. */
export class ModelRegistry {
  readonly #models: ReadonlyMap<string, Model>;
  readonly #default: Model;

  private constructor(models: ReadonlyMap<string, Model>, defaultModel: Model) {
    this.#models = models;
    this.#default = defaultModel;
  }

  /**
   * Reads every manifest, checks each file against its SHA-256 and opens it.
   *
   * @throws Error when a manifest is not valid, a file is missing or not the one of its manifest, or the default is not there
   */
  static async load(options: ModelRegistryOptions): Promise<ModelRegistry> {
    const models = new Map<string, Model>();
    try {
      for (const folder of await findModelFolders(options.modelsDir)) {
        const manifest = await readManifest(folder);
        if (models.has(manifest.name)) throw new Error(`two models in ${options.modelsDir} are called ${manifest.name}`);
        const modelPath = await verifyModelFile(folder, manifest);
        const extractor = await options.open(manifest, modelPath);
        models.set(manifest.name, { name: manifest.name, manifest, fingerprint: manifest.file.sha256, extractor });
      }
      const defaultModel = models.get(options.defaultModel);
      if (defaultModel === undefined) {
        const names = [...models.keys()].join(', ') || 'none';
        throw new Error(`the model ${options.defaultModel} is not in ${options.modelsDir}; there are: ${names}`);
      }
      return new ModelRegistry(models, defaultModel);
    } catch (error) {
      await Promise.all([...models.values()].map((model) => model.extractor.close()));
      throw error;
    }
  }

  get default(): Model {
    return this.#default;
  }

  list(): Model[] {
    return [...this.#models.values()];
  }

  /** @throws DinoError not-found; without a name: the default model */
  get(name?: string): Model {
    if (name === undefined) return this.#default;
    const model = this.#models.get(name);
    if (model === undefined) {
      throw new DinoError('not-found', `The model ${name} is not loaded. There are: ${[...this.#models.keys()].join(', ')}.`);
    }
    return model;
  }

  async close(): Promise<void> {
    await Promise.all(this.list().map((model) => model.extractor.close()));
  }
}
