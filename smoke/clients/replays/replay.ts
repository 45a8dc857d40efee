import { expect } from 'vitest';
import { parse } from 'yaml';
import { exchange } from '../../simulator/exchange.ts';
import type { Exchange } from '../../simulator/exchange.ts';
import type { RecordedRequest } from '../../simulator/recorder.ts';
import { canary } from '../harness.ts';
import type { Stage } from '../harness.ts';
import { settingsFor } from '../settings.ts';

/** The stage of the file, once it has been set. */
export type StageOf = () => Stage;

/** What a user typed into the fields of a program's settings, by the label of the field. */
export type Fields = Readonly<Record<string, string>>;

/** The profiles of a settings file by name, with base URL and key filled in. */
export function fieldsOf(stage: Stage, file: string, profile: string): Fields {
  const profiles = parse(settingsFor(file, stage)) as Record<string, Fields | undefined>;
  const fields = profiles[profile];
  if (fields === undefined) throw new Error(`${file} has no profile ${profile}`);
  return fields;
}

/** A field of a profile. @throws {Error} when the settings lack it */
export function field(fields: Fields, name: string): string {
  const value = fields[name];
  if (value === undefined) throw new Error(`the settings have no field ${name}`);
  return String(value);
}

/** A JSON request with exactly these headers; the answer must have status 200. */
export async function post(
  url: string,
  headers: Record<string, string>,
  body: unknown,
): Promise<Exchange> {
  const answer = await exchange(url, { method: 'POST', headers, json: body });
  expect({ status: answer.status, text: answer.status === 200 ? '' : answer.text }).toEqual({
    status: 200,
    text: '',
  });
  return answer;
}

/** The same of a GET. */
export async function get(url: string, headers: Record<string, string>): Promise<Exchange> {
  const answer = await exchange(url, { headers });
  expect({ status: answer.status, text: answer.status === 200 ? '' : answer.text }).toEqual({
    status: 200,
    text: '',
  });
  return answer;
}

/** The last call of a model that the simulated Azure answered with 200. */
export function lastServed(stage: Stage): RecordedRequest {
  const served = stage.modelCalls().findLast(({ status }) => status === 200);
  if (served === undefined) throw new Error('no call was served');
  return served;
}

/** A prompt that is echoed, and what the echo begins with. */
export const hello = `${canary} Say hello.`;
export const echo = `You said: ${hello}`;

/** A prompt that makes the model call the tool `read_file`. */
export const toolPrompt = `${canary} [SIM:tool read_file {"path":"src/Größe.ts"}] Read it.`;

/** JSON Schema of the arguments of `read_file`. */
export const pathSchema = {
  type: 'object',
  properties: { path: { type: 'string', description: 'Path of the file' } },
  required: ['path'],
  additionalProperties: false,
};

/** `read_file` as chat has it. */
export const readFileTool = {
  type: 'function',
  function: {
    name: 'read_file',
    description: 'Reads a file — whole',
    strict: true,
    parameters: pathSchema,
  },
};

/** Headers of OpenAI's SDK for Node, which several programs are built on. */
export function sdkHeaders(agent: string): Record<string, string> {
  return {
    accept: 'application/json',
    'user-agent': agent,
    'x-stainless-retry-count': '0',
    'x-stainless-timeout': '600',
    'x-stainless-lang': 'js',
    'x-stainless-package-version': '5.12.2',
    'x-stainless-os': 'Linux',
    'x-stainless-arch': 'x64',
    'x-stainless-runtime': 'node',
    'x-stainless-runtime-version': 'v22.19.0',
  };
}
