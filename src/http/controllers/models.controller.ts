import { Controller, Get, OperationId, Response, Route, Tags } from '@tsoa/runtime';
import type { Model, ModelRegistry } from '../../models/model-registry.js';
import type { ModelListResponse, ModelResource } from '../dto/model.dto.js';
import type { Problem } from '../dto/problem.dto.js';

@Route('v1/models')
@Tags('Models')
export class ModelsController extends Controller {
  readonly #models: ModelRegistry;

  constructor(models: ModelRegistry) {
    super();
    this.#models = models;
  }

  /** @summary List the models that are loaded, each with its manifest */
  @Get()
  @OperationId('listModels')
  public async listModels(): Promise<ModelListResponse> {
    return { object: 'list', data: this.#models.list().map((model) => this.#describe(model)) };
  }

  /** @summary Describe one model */
  @Get('{name}')
  @OperationId('getModel')
  @Response<Problem>(404, 'The model is not loaded')
  public async getModel(name: string): Promise<ModelResource> {
    return this.#describe(this.#models.get(name));
  }

  #describe(model: Model): ModelResource {
    const { architecture } = model.manifest;
    return {
      id: model.name,
      object: 'model',
      default: model === this.#models.default,
      fingerprint: model.fingerprint,
      dimension: architecture.embedDim,
      patchSize: architecture.patchSize,
      heads: architecture.heads ?? 0,
      manifest: model.manifest,
    };
  }
}
