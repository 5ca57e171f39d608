/**
 * Finishes the specification that tsoa writes from the controllers, with what its decorators can't say: bodies that
 * are images, answers that are pictures, problem documents' media type, keys, and the operations beside `/v1`.
 *
 * Run by `npm run openapi`: node openapi/finish.js openapi/openapi.json
 */
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const binary = { schema: { type: 'string', format: 'binary' } };
const text = (description) => ({ type: 'string', description });
const json = (properties) => ({
  'application/json': { schema: { type: 'object', required: Object.keys(properties), properties } },
});

const rawImage = { 'image/*': binary, 'application/octet-stream': binary };
const form = (properties) => ({ 'multipart/form-data': { schema: { type: 'object', properties } } });
const oneFile = { image: binary.schema };
const manyFiles = { images: { type: 'array', items: binary.schema } };

/** Bodies besides JSON. */
const IMAGE_BODIES = {
  createEmbeddings: { ...rawImage, ...form(manyFiles) },
  createAttention: { ...rawImage, ...form(oneFile) },
  createMasks: { ...rawImage, ...form(oneFile) },
  createCorrespondences: form(manyFiles),
  createCosegmentation: form(manyFiles),
  explainImage: { ...rawImage, ...form(oneFile) },
  putImage: { ...rawImage, ...form({ ...oneFile, metadata: text('Metadata as JSON text.') }) },
  postImages: form({
    ...manyFiles,
    items: text('JSON text: a list of {"id"?, "metadata"?}, one for each file in their order.'),
  }),
  search: { ...rawImage, ...form(oneFile) },
  classify: { ...rawImage, ...form(oneFile) },
};

/** What may run the model: it takes a priority and tells where the time went. */
const MODEL_OPERATIONS = [...Object.keys(IMAGE_BODIES), 'searchBatch'];

const PRIORITY = {
  in: 'header',
  name: 'Priority',
  required: false,
  schema: { type: 'string', example: 'u=7' },
  description:
    'RFC 9218. u=0 to u=3 (the default) go before u=4 to u=7, which are for imports and the like: those wait while others ' +
    'are served, but get one turn in nine whatever happens. A value that cannot be read is ignored.',
};

const SERVER_TIMING = {
  schema: {
    type: 'string',
    example: 'queue;dur=0.42, decode;dur=3.10, inference;dur=21.76, total;dur=26.02',
  },
  description:
    'Milliseconds in which at least one image of the request waited for a decoder or the model (queue), was decoded ' +
    '(decode) and was in the model (inference), and since the request began (total). Absent where the model did not run.',
};

/** Answers besides JSON, for `Accept: image/png`. */
const PICTURES = ['createAttention', 'createMasks', 'createCorrespondences', 'explainImage'];

const OPERATIONS = {
  '/healthz': [
    'getHealth',
    'Liveness',
    'The process answers',
    json({ status: { type: 'string', enum: ['alive'] } }),
  ],
  '/readyz': [
    'getReadiness',
    'Readiness',
    'Requests are welcome',
    json({ status: { type: 'string', enum: ['ready'] } }),
  ],
  '/metrics': [
    'getMetrics',
    'Prometheus metrics',
    'Text exposition format',
    { 'text/plain': { schema: { type: 'string' } } },
  ],
  '/openapi.json': [
    'getSpecification',
    'This specification',
    'OpenAPI 3',
    { 'application/json': { schema: { type: 'object' } } },
  ],
};

const problem = (description) => ({
  description,
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
});

/** OpenAPI 3.0 knows `nullable` only beside `type`: a union or a reference that may be null needs a member that is. */
function allowNullInUnions(node) {
  if (typeof node !== 'object' || node === null) return;
  if (node.nullable === true && Array.isArray(node.allOf)) {
    // tsoa wraps a nullable reference so.
    node.anyOf = node.allOf;
    delete node.allOf;
  }
  if (node.nullable === true && Array.isArray(node.anyOf) && node.type === undefined) {
    delete node.nullable;
    node.anyOf.push({ type: 'string', nullable: true, enum: [null] });
  }
  Object.values(node).forEach(allowNullInUnions);
}

/** What can be wrong with any request, with any that has a body, and with any that may carry an image. */
const COMMON_PROBLEMS = {
  400: 'The request is not valid',
  401: 'A valid API key is needed',
  429: 'Too many requests at once',
  500: 'Something went wrong here',
};
const BODY_PROBLEMS = {
  413: 'The body or an image is too large',
  415: 'Not an image format, or not a type of body, that the service reads',
};
const DISK_FULL = "The service's disk is full; nothing was changed, and reading goes on";
const IMAGE_PROBLEMS = {
  422: 'The image is damaged',
  503: "The model's process ended on the way, and another is started: try again",
};

const NOT_MODIFIED = { description: 'The client has it already: `If-None-Match` names its ETag' };

/** Changes `specification` in place and returns it. */
export function finish(specification) {
  for (const [path, verbs] of Object.entries(specification.paths)) {
    for (const [verb, operation] of Object.entries(verbs)) {
      finishOperation(operation);
      if (verb === 'get') operation.responses[304] ??= NOT_MODIFIED;
      if (isWrite(path, verb, operation)) operation.responses[507] ??= problem(DISK_FULL);
    }
  }
  for (const [path, [operationId, summary, description, content]] of Object.entries(OPERATIONS)) {
    const responses = { 200: { description, content } };
    if (path === '/openapi.json') responses[304] = NOT_MODIFIED;
    if (path === '/readyz') responses[503] = problem('Starting or stopping');
    specification.paths[path] = {
      get: { operationId, summary, tags: ['Operations'], security: [], parameters: [], responses },
    };
  }
  allowNullInUnions(specification.components.schemas);
  specification.components.securitySchemes = {
    bearer: { type: 'http', scheme: 'bearer', description: 'One of DINO_API_KEYS, where there are any.' },
    apiKey: {
      type: 'apiKey',
      in: 'header',
      name: 'X-Api-Key',
      description: 'The same in a header of its own.',
    },
  };
  specification.security = [{}, { bearer: [] }, { apiKey: [] }];
  specification.servers = [{ url: '/' }];
  return specification;
}

function isWrite(path, verb, operation) {
  const changes = ['put', 'patch', 'delete'].includes(verb) || operation.operationId === 'postImages';
  return path.startsWith('/v1/collections') && changes;
}

function finishOperation(operation) {
  const bodies = IMAGE_BODIES[operation.operationId];
  if (bodies !== undefined) Object.assign(operation.requestBody.content, bodies);
  if (MODEL_OPERATIONS.includes(operation.operationId)) {
    operation.parameters.push(PRIORITY);
    for (const [status, response] of Object.entries(operation.responses)) {
      if (Number(status) < 300) response.headers = { 'Server-Timing': SERVER_TIMING };
    }
  }
  if (PICTURES.includes(operation.operationId)) operation.responses['200'].content['image/png'] = binary;
  // tsoa knows a problem's schema, but not its media type.
  for (const [status, response] of Object.entries(operation.responses)) {
    if (Number(status) >= 400) operation.responses[status] = problem(response.description);
  }
  for (const [status, description] of Object.entries({
    ...COMMON_PROBLEMS,
    ...(operation.requestBody === undefined ? {} : BODY_PROBLEMS),
    ...(bodies === undefined ? {} : IMAGE_PROBLEMS),
  })) {
    operation.responses[status] ??= problem(description);
  }
  delete operation.security;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = process.argv[2];
  writeFileSync(path, `${JSON.stringify(finish(JSON.parse(readFileSync(path, 'utf8'))), null, 2)}\n`);
}
