import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { Schema } from './json-schema.ts';

export type Method = 'get' | 'post' | 'delete';

/** What we need of an OpenAPI document. */
export type ApiDocument = {
  /** Title and version, by which explanations name it. */
  name: string;
  /** The dated api-version of the classic form, whose paths name deployments; undefined for the v1 form. */
  apiVersion: string | undefined;
  /** Path of the server address, such as `/openai/v1`. */
  basePath: string;
  schemas: { [name: string]: Schema };
  /**
   * The document's path for an operation: with a deployment in front where the document has it so.
   *
   * @returns undefined when the document has no such operation
   */
  findPath(method: Method, path: string): string | undefined;
  /** The schema of an answer's JSON, or of each event of a stream; undefined when the document gives none. */
  answerSchema(method: Method, path: string, status: number, stream: boolean): Schema | undefined;
};

type Response = { $ref?: string; content?: { [type: string]: { schema?: Schema } } };
type Raw = {
  info: { title: string; version: string };
  servers?: { url: string }[];
  paths: { [path: string]: { [method: string]: { responses: { [status: string]: Response } } } };
  components: {
    schemas: { [name: string]: Schema };
    responses?: { [name: string]: Response };
  };
};

const deployment = '/deployments/{deployment-id}';
/** Schemas of error answers by name, for operations that list only their successes. */
const errorSchemas = ['ErrorResponse', 'AzureErrorResponse', 'errorResponse'];

/** Reads an OpenAPI document, JSON or YAML. */
export function loadDocument(file: string): ApiDocument {
  const text = readFileSync(file, 'utf8');
  const raw = (text.startsWith('{') ? JSON.parse(text) : parse(text)) as Raw;
  const { info, paths, components } = raw;
  const classic = Object.keys(paths).some((path) => path.startsWith(deployment));
  const server = raw.servers?.[0]?.url ?? '';

  const responseOf = (response: Response): Response =>
    response.$ref
      ? (components.responses?.[response.$ref.slice(response.$ref.lastIndexOf('/') + 1)] ?? {})
      : response;

  return {
    name: `${info.title} ${info.version}`,
    apiVersion: classic ? info.version : undefined,
    basePath: classic ? '/openai' : /\/openai\/v1\/?$/.test(server) ? '/openai/v1' : '/v1',
    schemas: components.schemas,
    findPath: (method, path) =>
      [deployment + path, path].find((candidate) => paths[candidate]?.[method]),
    answerSchema: (method, path, status, stream) => {
      const responses = paths[path]?.[method]?.responses ?? {};
      const response = responseOf(responses[status] ?? responses.default ?? {});
      const json = response.content?.['application/json']?.schema;
      // Older documents list a stream's events among the JSON answers.
      if (stream) return response.content?.['text/event-stream']?.schema ?? json;
      if (json || status < 400) return json;
      const name = errorSchemas.find((candidate) => components.schemas[candidate]);
      return name === undefined ? undefined : { $ref: `#/components/schemas/${name}` };
    },
  };
}
