import type { Call } from '../call.ts';
import { modelError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { MODELS } from '../models.ts';
import type { Model } from '../models.ts';
import { jsonReply } from '../reply.ts';
import type { Reply } from '../reply.ts';

/** GET /models: the base models of the region, never the deployments of the resource. */
export function listModels(): Reply {
  return jsonReply(200, { object: 'list', data: MODELS.map(describe) });
}

/** GET /models/{model}. */
export function getModel(call: Call): Reply {
  const id = call.path['model'];
  const model = MODELS.find((one) => idOf(one) === id || one.name === id);
  if (model === undefined) {
    throw modelError(404, {
      message: `The model '${id ?? ''}' does not exist`,
      param: 'model',
      code: 'model_not_found',
    });
  }
  return jsonReply(200, describe(model));
}

function idOf(model: Model): string {
  return model.dimensions === undefined ? `${model.name}-${model.version}` : model.name;
}

function describe(model: Model): JsonObject {
  return {
    id: idOf(model),
    object: 'model',
    created_at: 1_732_060_800,
    status: 'succeeded',
    lifecycle_status: 'generally-available',
    capabilities: {
      inference: true,
      chat_completion: model.operations.includes('chat.completions'),
      completion: model.operations.includes('completions'),
      embeddings: model.operations.includes('embeddings'),
      fine_tune: false,
    },
    deprecation: { inference: 1_830_297_600 },
  };
}
