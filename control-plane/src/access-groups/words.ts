import type { JsonValue } from '@aigateway/contract/records';
import type * as z from 'zod';
import { detailError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { put } from '../http/view.ts';
import { requireModel } from '../models/service.ts';
import type { ModelDocument } from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import type { newWordBody, updateWordBody } from './schema.ts';

/** A deployment that has the word, or not: of the store, or of the file. */
type Deployment = {
  readonly name: string;
  readonly words: readonly string[];
  readonly model?: ModelDocument;
};

export async function createWord(call: Call, body: z.output<typeof newWordBody>): Promise<Outcome> {
  const { access_group: word } = body;
  const deployments = await allDeployments(call);
  if (deployments.some(({ words }) => words.includes(word)))
    throw detailError(409, { error: `Access group '${word}' already exists. Update it instead.` });
  return writeWord(call, deployments, word, body);
}

export async function updateWord(
  call: Call,
  word: string,
  body: z.output<typeof updateWordBody>,
): Promise<Outcome> {
  const deployments = await allDeployments(call);
  requireHolders(deployments, word);
  return writeWord(call, deployments, word, body);
}

async function writeWord(
  call: Call,
  deployments: readonly Deployment[],
  word: string,
  { model_names: names, model_ids: ids }: z.output<typeof updateWordBody>,
): Promise<Outcome> {
  const wanted = new Set<string>();
  for (const id of ids ?? []) wanted.add((await requireModel(call, id)).model_id);
  for (const name of names ?? []) {
    const named = deployments.filter((one) => one.name === name);
    if (named.length === 0) throw detailError(400, { error: `Model ${name} not found in db` });
    for (const { model } of named) {
      if (model === undefined) throw ofFile(name);
      wanted.add(model.model_id);
    }
  }
  if (wanted.size === 0)
    throw detailError(400, { error: 'model_names or model_ids must name a model' });
  const changes = rewritten(call, deployments, word, ({ model_id }) => wanted.has(model_id));
  return {
    answer: {
      access_group: word,
      model_names: names ?? null,
      model_ids: ids ?? null,
      models_updated: wanted.size,
    },
    changes,
    subject: word,
  };
}

/** The changes that leave the word with those deployments alone that should have it. */
function rewritten(
  call: Call,
  deployments: readonly Deployment[],
  word: string,
  shouldHave: (model: ModelDocument) => boolean,
): Change[] {
  return deployments.flatMap(({ name, words, model }) => {
    const has = words.includes(word);
    if (model === undefined) {
      if (has) throw ofFile(name);
      return [];
    }
    const wanted = shouldHave(model);
    if (has === wanted) return [];
    const next: ModelDocument = {
      ...model,
      model_info: {
        ...model.model_info,
        access_groups: wanted ? [...words, word] : words.filter((one) => one !== word),
      },
      updated_at: timestamp(call),
      updated_by: call.actor.id,
    };
    return [put('model', model.model_id, next)];
  });
}

export async function listWords(call: Call): Promise<Outcome> {
  const deployments = await allDeployments(call);
  const words = new Set(deployments.flatMap((one) => one.words));
  return { answer: { access_groups: [...words].sort().map((word) => wordRow(deployments, word)) } };
}

export async function showWord(call: Call, word: string): Promise<Outcome> {
  const deployments = await allDeployments(call);
  requireHolders(deployments, word);
  return { answer: wordRow(deployments, word) };
}

export async function deleteWord(call: Call, word: string): Promise<Outcome> {
  const deployments = await allDeployments(call);
  requireHolders(deployments, word);
  const changes = rewritten(call, deployments, word, () => false);
  return {
    answer: {
      access_group: word,
      models_updated: changes.length,
      message: `Access group '${word}' deleted successfully`,
    },
    changes,
    subject: word,
  };
}

async function allDeployments(call: Call): Promise<Deployment[]> {
  const found: Deployment[] = [...call.settings.fileModels.values()].map(
    ({ name, accessGroups }) => ({ name, words: accessGroups }),
  );
  for (const model of await call.view.findAll('model', {})) {
    found.push({
      name: model.model_name,
      words: wordsOf(model.model_info['access_groups']),
      model,
    });
  }
  return found;
}

function wordsOf(value: JsonValue | undefined): string[] {
  return Array.isArray(value) ? value.filter((word) => typeof word === 'string') : [];
}

function wordRow(deployments: readonly Deployment[], word: string) {
  const having = deployments.filter(({ words }) => words.includes(word));
  return {
    access_group: word,
    model_names: [...new Set(having.map(({ name }) => name))],
    deployment_count: having.length,
  };
}

function requireHolders(deployments: readonly Deployment[], word: string): void {
  if (deployments.some(({ words }) => words.includes(word))) return;
  throw detailError(404, { error: `Access group '${word}' not found` });
}

function ofFile(name: string): Error {
  return detailError(400, {
    error: `Model ${name} stands in the configuration file. Its access_groups are changed there.`,
  });
}
