import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import formatsPlugin from 'ajv-formats';

const specification = JSON.parse(
  readFileSync(new URL('../../openapi/openapi.json', import.meta.url), 'utf8'),
);

// tsoa writes OpenAPI 3.0: `nullable` is Ajv's too, `example` and the like are only notes.
const ajv = new Ajv({ strict: false, allErrors: true });
formatsPlugin.default(ajv, { mode: 'fast' });
ajv.addFormat('double', true).addFormat('float', true).addFormat('int32', true).addFormat('binary', true);
ajv.addSchema(specification, 'openapi');

const compiled = new Map<string, ValidateFunction>();

function validator(pointer: string): ValidateFunction {
  let validate = compiled.get(pointer);
  if (validate === undefined) {
    validate = ajv.compile({ $ref: `openapi#${pointer}` });
    compiled.set(pointer, validate);
  }
  return validate;
}

const escape = (part: string) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'));

/** Finds the path template of a concrete path; templates without parameters win. */
function templateOf(path: string): string {
  const templates = Object.keys(specification.paths).sort(
    (a, b) => a.split('{').length - b.split('{').length,
  );
  const found = templates.find((template) =>
    new RegExp(`^${template.replaceAll(/\{[^}]+\}/g, '[^/]+')}$`).test(path),
  );
  if (found === undefined) throw new Error(`${path} is not in openapi.json`);
  return found;
}

export interface Exchange {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly status: number;
  readonly contentType: string | undefined;
  readonly body: unknown;
  /** A JSON request body, if there was one. */
  readonly requestJson?: unknown;
}

/** Throws unless the answer's status, content type and body are as openapi.json documents them, and so is an accepted request's body. */
export function checkExchange({ method, path, status, contentType, body, requestJson }: Exchange): void {
  const template = templateOf(path);
  const verb = method.toLowerCase();
  const operation = specification.paths[template][verb];
  const name = `${method} ${template} ${status}`;
  if (operation === undefined) throw new Error(`${method} ${template} is not in openapi.json`);
  const base = `/paths/${escape(template)}/${verb}`;
  const response = operation.responses[status];
  if (response === undefined)
    throw new Error(`${name} is not documented; there are ${Object.keys(operation.responses).join(', ')}`);
  if (status === 204 || status === 304) return;
  const type = (contentType ?? '').split(';')[0]!;
  const documented = Object.keys(response.content ?? {});
  const media = documented.find(
    (candidate) =>
      candidate === type || (candidate === 'application/octet-stream' && type.startsWith('image/')),
  );
  if (media === undefined)
    throw new Error(`${name}: ${type} is not documented; there are ${documented.join(', ')}`);
  if (/json$/.test(media)) {
    const validate = validator(`${base}/responses/${status}/content/${escape(media)}/schema`);
    if (!validate(body)) throw new Error(`${name}: ${ajv.errorsText(validate.errors)}`);
  }
  if (requestJson !== undefined && status < 300) {
    const validate = validator(`${base}/requestBody/content/application~1json/schema`);
    if (!validate(requestJson))
      throw new Error(
        `${method} ${template} took a body that openapi.json forbids: ${ajv.errorsText(validate.errors)}`,
      );
  }
}

/** Every operation with the statuses it documents. */
export function documentedOperations(): { method: string; path: string; statuses: number[] }[] {
  return Object.entries<Record<string, { responses: object }>>(specification.paths).flatMap(([path, verbs]) =>
    Object.entries(verbs).map(([verb, { responses }]) => ({
      method: verb.toUpperCase(),
      path,
      statuses: Object.keys(responses).map(Number),
    })),
  );
}
