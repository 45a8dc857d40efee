import { createHash } from 'node:crypto';

import type { Call } from '../call.ts';
import { promptBlocked } from '../content-filter.ts';
import {
  contextLengthExceeded,
  invalidRequest,
  invalidValue,
  missingParameter,
  unsupportedParameter,
} from '../errors.ts';
import { textOf } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { readMagicWords } from '../magic-words.ts';
import type { ModelOperationSpec, Plan } from '../model-call.ts';
import { checkModelAccepts, checkParameters } from '../parameters.ts';
import { seededRandom } from '../random.ts';
import { jsonReply } from '../reply.ts';
import type { Deployment } from '../resources.ts';
import { estimateTokens } from '../tokens.ts';
import type { Usage } from '../tokens.ts';

/** Azure's bound on inputs per request. */
const MAX_INPUTS = 2048;

/** POST /embeddings. */
export const embeddings: ModelOperationSpec = {
  name: 'embeddings',
  needs: 'embeddings',
  azureName: 'Embeddings_Create',
  label: 'embeddings',
  plan,
};

type Input = { key: string; tokens: number };

function plan(call: Call, deployment: Deployment): Plan {
  const { body } = call;
  checkParameters('embeddings', body, undefined);
  checkModelAccepts(deployment, body);
  const inputs = readInputs(body['input']);
  const dimensions = readDimensions(body['dimensions'], deployment);
  const format = body['encoding_format'] ?? 'float';
  if (format !== 'float' && format !== 'base64') {
    throw invalidValue('encoding_format', textOf(format), ['float', 'base64']);
  }
  for (const input of inputs) {
    if (input.tokens > deployment.contextWindow) {
      throw contextLengthExceeded(deployment.contextWindow, input.tokens);
    }
  }
  const tokens = inputs.reduce((sum, input) => sum + input.tokens, 0);
  const words = readMagicWords(inputs.map((input) => input.key).join('\n'), call.headers['x-sim']);
  return {
    estimate: { promptTokens: tokens, maxOutputTokens: 0 },
    words,
    respond: () => {
      if (words.blockPrompt !== undefined) throw promptBlocked(words.blockPrompt);
      const usage: Usage = {
        promptTokens: tokens,
        cachedTokens: 0,
        completionTokens: 0,
        reasoningTokens: 0,
      };
      return jsonReply(200, result(inputs, dimensions, format, deployment, tokens), usage);
    },
  };
}

function result(
  inputs: readonly Input[],
  dimensions: number,
  format: 'float' | 'base64',
  deployment: Deployment,
  tokens: number,
): JsonObject {
  return {
    object: 'list',
    data: inputs.map((input, index) => {
      const vector = embeddingVector(input.key, dimensions);
      return {
        object: 'embedding',
        index,
        embedding: format === 'float' ? [...vector] : Buffer.from(vector.buffer).toString('base64'),
      };
    }),
    model: deployment.modelVersion,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

/**
 * The vector of a text: unit length, the same for the same text whatever the resource, and when shortened the
 * normalised beginning of the full one.
 *
 * @param dimensions - length asked for
 */
export function embeddingVector(text: string, dimensions: number): Float32Array {
  const random = seededRandom(createHash('sha256').update(text).digest().readUInt32LE(0));
  const vector = new Float32Array(dimensions);
  let squares = 0;
  for (let index = 0; index < dimensions; index += 1) {
    const value = random.next() * 2 - 1;
    vector[index] = value;
    squares += value * value;
  }
  const scale = 1 / Math.sqrt(squares || 1);
  for (let index = 0; index < dimensions; index += 1) vector[index] = (vector[index] ?? 0) * scale;
  return vector;
}

function readInputs(input: unknown): Input[] {
  if (input === undefined || input === null) throw missingParameter('input');
  if (typeof input === 'string') return [textInput(input)];
  if (!Array.isArray(input) || input.length === 0) throw badInput();
  const all = input as unknown[];
  if (all.every((token) => Number.isInteger(token))) return [tokenInput(all)];
  if (all.length > MAX_INPUTS) {
    throw invalidRequest(
      `Invalid 'input': array too long. Expected an array with maximum length ${String(MAX_INPUTS)}, but got an array with length ${String(all.length)} instead.`,
      'input',
    );
  }
  return all.map((one) => {
    if (typeof one === 'string') return textInput(one);
    if (Array.isArray(one) && one.length > 0 && one.every((token) => Number.isInteger(token))) {
      return tokenInput(one as unknown[]);
    }
    throw badInput();
  });
}

function badInput(): Error {
  return invalidRequest(
    "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference.",
    'input',
  );
}

function textInput(text: string): Input {
  if (text === '') throw badInput();
  return { key: text, tokens: estimateTokens(text) };
}

function tokenInput(tokens: readonly unknown[]): Input {
  return { key: JSON.stringify(tokens), tokens: tokens.length };
}

function readDimensions(asked: unknown, deployment: Deployment): number {
  const full = deployment.model.dimensions ?? 0;
  if (typeof asked !== 'number') return full;
  if (deployment.model.shortens !== true) throw unsupportedParameter('dimensions');
  if (asked < 1 || asked > full) {
    throw invalidRequest(
      `Invalid value for 'dimensions' = ${String(asked)}. Must be less than or equal to ${String(full)}.`,
      'dimensions',
    );
  }
  return asked;
}
