import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import type * as z from 'zod';
import { seesAll } from '../auth/actor.ts';
import { budgetRow, budgetsOf, holdersBudget } from '../budgets/service.ts';
import { detailError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { withFields } from '../http/limits.ts';
import { put, remove } from '../http/view.ts';
import { requireModel } from '../models/service.ts';
import { spenders, spentBy } from '../spend/sums.ts';
import type { ModelDocument, TagDocument } from '../store/documents.ts';
import type { Change } from '../store/entities.ts';
import type { tagBody } from './schema.ts';

type TagBody = z.output<typeof tagBody>;

const blank = { description: null, models: [] } satisfies Partial<TagDocument>;

export async function createTag(call: Call, body: TagBody): Promise<Outcome> {
  if ((await call.view.get('tag', body.name)) !== undefined) {
    throw detailError(400, { error: `Tag ${body.name} already exists. Use /tag/update.` });
  }
  const at = timestamp(call);
  const fresh: TagDocument = {
    ...blank,
    name: body.name,
    budget_id: null,
    created_at: at,
    created_by: call.actor.id,
    updated_at: at,
    updated_by: call.actor.id,
  };
  return writeTag(call, fresh, body, 'created');
}

export async function updateTag(call: Call, body: TagBody): Promise<Outcome> {
  return writeTag(call, await requireTag(call, body.name), body, 'updated');
}

async function writeTag(
  call: Call,
  current: TagDocument,
  sent: TagBody,
  done: 'created' | 'updated',
): Promise<Outcome> {
  const wanted = sent.budget_id === undefined ? current.budget_id : sent.budget_id;
  const { budgetId, changes } = await holdersBudget(call, wanted, sent);
  const next: TagDocument = {
    ...withFields<TagDocument>(current, blank, sent),
    budget_id: budgetId,
    updated_at: timestamp(call),
    updated_by: call.actor.id,
  };
  const models = await retagged(call, current, next);
  const [row] = await tagRows(call, [next], changes);
  return {
    answer: { message: `Tag ${next.name} ${done} successfully`, tag: row },
    changes: [put('tag', next.name, next), ...changes, ...models],
  };
}

/** Deployments that get the tag or lose it. Those of the file are changed there. */
async function retagged(call: Call, before: TagDocument, after: TagDocument): Promise<Change[]> {
  const ids = new Set([...before.models, ...after.models]);
  const changes: Change[] = [];
  for (const modelId of ids) {
    const isTagged = after.models.includes(modelId);
    if (isTagged === before.models.includes(modelId)) continue;
    // One that is gone has no tag to lose.
    if (!isTagged && (await call.view.get('model', modelId)) === undefined) continue;
    const model = await requireModel(call, modelId);
    const others = tagsOf(model).filter((tag) => tag !== after.name);
    if (!isTagged && others.length === 0) {
      throw detailError(400, {
        error: `${after.name} is the last tag of model ${modelId}, which would then serve every request. Change the tags of the model itself.`,
      });
    }
    const next: ModelDocument = {
      ...model,
      litellm_params: {
        ...model.litellm_params,
        tags: isTagged ? [...others, after.name] : others,
      },
      updated_at: timestamp(call),
      updated_by: call.actor.id,
    };
    changes.push(put('model', modelId, next));
  }
  return changes;
}

function tagsOf({ litellm_params: { tags } }: ModelDocument): string[] {
  return Array.isArray(tags) ? tags.filter((tag: JsonValue) => typeof tag === 'string') : [];
}

export async function tagInfo(call: Call, names: readonly string[]): Promise<Outcome> {
  const found = await call.view.getMany('tag', names);
  if (found.size === 0) throw unknownTag(names.join(', '));
  const rows = await tagRows(call, [...found.values()]);
  return {
    answer: Object.fromEntries([...found.keys()].map((name, index) => [name, rows[index]])),
  };
}

export async function listTags(call: Call): Promise<Outcome> {
  if (!seesAll(call.actor)) {
    const own = await tagsOfKeys(call);
    const known = await call.view.getMany('tag', [...own]);
    return { answer: await withUnmade(call, own, [...known.values()]) };
  }
  const made: TagDocument[] = [];
  for await (const tag of call.view.all('tag')) made.push(tag);
  return { answer: await withUnmade(call, await spenders(call, 'tag'), made) };
}

/** Tags that the caller's keys put on their requests. */
async function tagsOfKeys(call: Call): Promise<Set<string>> {
  const { actor } = call;
  const keys =
    actor.userId === undefined
      ? actor.key === undefined
        ? []
        : [actor.key]
      : await call.view.findAll('key', { user_id: actor.userId });
  return new Set(
    keys.flatMap(({ tags, metadata }) => {
      const more = metadata['tags'];
      return [...tags, ...(Array.isArray(more) ? more : [])].filter(
        (tag) => typeof tag === 'string',
      );
    }),
  );
}

/** Those that were made, then those that only requests brought. */
async function withUnmade(
  call: Call,
  names: ReadonlySet<string>,
  made: readonly TagDocument[],
): Promise<JsonObject[]> {
  const known = new Set(made.map(({ name }) => name));
  const others = [...names].filter((name) => !known.has(name));
  const spent = await spentBy(
    call,
    'tag',
    others.map((id) => ({ id, window: null })),
  );
  return [
    ...(await tagRows(call, made)),
    ...others.sort().map((name) => ({
      name,
      description: 'Came with requests and was not made here; it chooses no deployment.',
      models: [],
      model_info: {},
      spend: spent(name).spend,
      budget_id: null,
      litellm_budget_table: null,
      created_at: null,
      created_by: null,
      updated_at: null,
    })),
  ];
}

export async function deleteTag(call: Call, name: string): Promise<Outcome> {
  await requireTag(call, name);
  return {
    answer: { message: `Tag ${name} deleted successfully` },
    changes: [remove('tag', name)],
  };
}

async function requireTag(call: Call, name: string): Promise<TagDocument> {
  const tag = await call.view.get('tag', name);
  if (tag === undefined) throw unknownTag(name);
  return tag;
}

function unknownTag(name: string): Error {
  return detailError(404, { error: `Tag ${name} not found` });
}

async function tagRows(
  call: Call,
  tags: readonly TagDocument[],
  written: readonly Change[] = [],
): Promise<JsonObject[]> {
  const budgetOf = await budgetsOf(call, tags, written);
  const models = await call.view.getMany(
    'model',
    tags.flatMap((tag) => tag.models),
  );
  const spent = await spentBy(
    call,
    'tag',
    tags.map((tag) => ({ id: tag.name, window: budgetOf(tag)?.budget_duration ?? null })),
  );
  return tags.map((tag): JsonObject => {
    const budget = budgetOf(tag);
    return {
      name: tag.name,
      description: tag.description,
      models: [...tag.models],
      model_info: Object.fromEntries(
        tag.models.map((id) => [id, models.get(id)?.model_name ?? id]),
      ),
      spend: spent(tag.name).spend,
      budget_id: tag.budget_id,
      litellm_budget_table: budget === undefined ? null : budgetRow(call, budget),
      created_at: tag.created_at,
      created_by: tag.created_by,
      updated_at: tag.updated_at,
    };
  });
}
