import {
  Controller,
  Delete,
  Get,
  OperationId,
  Post,
  Response,
  Route,
  SuccessResponse,
  Tags,
} from '@tsoa/runtime';
import type { ModelService } from '../../collections/model.service.js';
import { FEATURE_NAMES } from '../../inference/features.js';
import type { Model } from '../../models/model-registry.js';
import type { ModelListResponse, ModelResource } from '../dto/model.dto.js';
import type { Problem } from '../dto/problem.dto.js';

@Route('v1/models')
@Tags('Models')
export class ModelsController extends Controller {
  readonly #models: ModelService;

  constructor(models: ModelService) {
    super();
    this.#models = models;
  }

  /**
   * All models that are there, loaded or not, each with its manifest; those installed while the service runs are
   * among them at once.
   * @summary List the models
   */
  @Get()
  @OperationId('listModels')
  public async listModels(): Promise<ModelListResponse> {
    const { models, unusable } = await this.#models.list();
    return {
      object: 'list',
      data: models.map((model) => this.#describe(model)),
      unusable: unusable.map(({ name, source, reason }) => ({ name, source, reason })),
    };
  }

  /** @summary Describe one model */
  @Get('{name}')
  @OperationId('getModel')
  @Response<Problem>(404, 'It is not there')
  public async getModel(name: string): Promise<ModelResource> {
    return this.#describe(await this.#models.get(name));
  }

  /**
   * Loads a model and warms it up; answers when it is ready. A model that is not loaded is also loaded by the first
   * request that uses it, which then takes as much longer.
   * @summary Load a model
   */
  @Post('{name}/load')
  @OperationId('loadModel')
  @Response<Problem>(404, 'It is not there')
  public async loadModel(name: string): Promise<ModelResource> {
    return this.#describe(await this.#models.load(name));
  }

  /**
   * Waits for the requests that use the model, then gives its memory back; answers when that is done. A request that
   * needs it later, or comes meanwhile, loads it again.
   * @summary Unload a model
   */
  @Post('{name}/unload')
  @OperationId('unloadModel')
  @Response<Problem>(404, 'It is not there')
  @Response<Problem>(409, 'It is the default model')
  public async unloadModel(name: string): Promise<ModelResource> {
    return this.#describe(await this.#models.unload(name));
  }

  /**
   * Unloads an installed model and deletes its files.
   * @summary Remove a model
   */
  @Delete('{name}')
  @OperationId('deleteModel')
  @SuccessResponse(204, 'Removed')
  @Response<Problem>(404, 'It is not there')
  @Response<Problem>(
    409,
    "It is the default model, came with the service, or is what a collection's vectors are of",
  )
  public async deleteModel(name: string): Promise<void> {
    await this.#models.remove(name);
  }

  #describe(model: Model): ModelResource {
    const { name, manifest, fingerprint, source, extractor } = model;
    const { embedDim, patchSize, heads = 0 } = manifest.architecture;
    return {
      id: name,
      object: 'model',
      default: this.#models.isDefault(model),
      status: extractor.status,
      reason: extractor.failure ?? null,
      source,
      fingerprint,
      dimension: embedDim,
      patchSize,
      heads: manifest.outputs.attention === undefined ? 0 : heads,
      outputs: FEATURE_NAMES.filter((feature) => manifest.outputs[feature] !== undefined),
      licence: manifest.licence,
      memoryBytes: extractor.memoryBytes,
      manifest,
    };
  }
}
