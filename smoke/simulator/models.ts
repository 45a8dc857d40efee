/** Operations that answer with a model; other operations need no deployment. */
export const MODEL_OPERATIONS = [
  'chat.completions',
  'completions',
  'embeddings',
  'responses',
] as const;

/** Name of an operation that needs a deployment. */
export type ModelOperation = (typeof MODEL_OPERATIONS)[number];

/** What a base model can do. */
export type Model = {
  /** Base model name, as Azure's catalogue spells it. */
  name: string;
  /** Version used when a deployment names none. */
  version: string;
  operations: readonly ModelOperation[];
  /** Reasoning models refuse sampling parameters and `max_tokens`. */
  reasoning: boolean;
  /** Prompt and answer together may hold this many tokens. */
  contextWindow: number;
  /** Oldest dated api-version that serves the model on the classic surface. */
  since?: string;
  /** A router: the model that it lets answer, as the answer names it. */
  answersAs?: string;
  /** Embedding models only: length of a full vector. */
  dimensions?: number;
  /** Embedding models only: whether the `dimensions` parameter is accepted. */
  shortens?: boolean;
  /** Provisioned throughput: input tokens per minute of one unit, and how much heavier an output token weighs. */
  provisioned: { inputTpmPerUnit: number; outputRatio: number };
};

const CHAT_AND_RESPONSES = ['chat.completions', 'responses'] as const;

function chatModel(
  name: string,
  version: string,
  contextWindow: number,
  inputTpmPerUnit = 2500,
  outputRatio = 4,
): Model {
  return {
    name,
    version,
    operations: CHAT_AND_RESPONSES,
    reasoning: false,
    contextWindow,
    provisioned: { inputTpmPerUnit, outputRatio },
  };
}

function reasoningModel(
  name: string,
  version: string,
  contextWindow: number,
  operations: readonly ModelOperation[] = CHAT_AND_RESPONSES,
): Model {
  return {
    name,
    version,
    operations,
    reasoning: true,
    contextWindow,
    since: '2024-12-01-preview',
    provisioned: { inputTpmPerUnit: 3400, outputRatio: 8 },
  };
}

function embeddingModel(
  name: string,
  version: string,
  dimensions: number,
  shortens: boolean,
): Model {
  return {
    name,
    version,
    operations: ['embeddings'],
    reasoning: false,
    contextWindow: 8192,
    dimensions,
    shortens,
    provisioned: { inputTpmPerUnit: 2500, outputRatio: 1 },
  };
}

const RESPONSES_ONLY = ['responses'] as const;
const CHAT_ONLY = ['chat.completions'] as const;

/**
 * The base models the simulator knows. Context windows and dimensions are those of Azure's model pages;
 * versions are real names, and `provisioned` follows the published tokens-per-minute tables.
 */
export const MODELS: readonly Model[] = [
  { ...chatModel('gpt-4', 'turbo-2024-04-09', 128_000), operations: CHAT_ONLY },
  chatModel('gpt-4o', '2024-11-20', 128_000),
  chatModel('gpt-4o-mini', '2024-07-18', 128_000, 37_000),
  chatModel('gpt-4.1', '2025-04-14', 1_047_576, 3000),
  chatModel('gpt-4.1-mini', '2025-04-14', 1_047_576, 14_900),
  chatModel('gpt-4.1-nano', '2025-04-14', 1_047_576, 59_400),
  { ...chatModel('model-router', '2025-11-18', 200_000), answersAs: 'gpt-4.1-mini-2025-04-14' },
  { ...chatModel('gpt-35-turbo', '0125', 16_385), operations: CHAT_ONLY },
  {
    ...chatModel('gpt-35-turbo-instruct', '0914', 4096),
    operations: ['completions'],
  },
  reasoningModel('o1', '2024-12-17', 200_000),
  reasoningModel('o3', '2025-04-16', 200_000),
  reasoningModel('o3-mini', '2025-01-31', 200_000),
  reasoningModel('o3-pro', '2025-06-10', 200_000, RESPONSES_ONLY),
  reasoningModel('o4-mini', '2025-04-16', 200_000),
  reasoningModel('gpt-5', '2025-08-07', 400_000),
  reasoningModel('gpt-5-mini', '2025-08-07', 400_000),
  reasoningModel('gpt-5-nano', '2025-08-07', 400_000),
  reasoningModel('gpt-5-pro', '2025-10-06', 400_000, RESPONSES_ONLY),
  reasoningModel('gpt-5-codex', '2025-09-15', 400_000, RESPONSES_ONLY),
  reasoningModel('gpt-5.1', '2025-11-13', 400_000),
  reasoningModel('gpt-5.1-codex', '2025-11-13', 400_000, RESPONSES_ONLY),
  reasoningModel('gpt-5.1-codex-mini', '2025-11-13', 400_000, RESPONSES_ONLY),
  reasoningModel('gpt-5.1-codex-max', '2025-12-04', 400_000, RESPONSES_ONLY),
  reasoningModel('gpt-5.2', '2025-12-11', 400_000),
  reasoningModel('gpt-5.2-codex', '2026-01-14', 400_000, RESPONSES_ONLY),
  reasoningModel('gpt-5.3-codex', '2026-02-24', 400_000, RESPONSES_ONLY),
  embeddingModel('text-embedding-3-small', '1', 1536, true),
  embeddingModel('text-embedding-3-large', '1', 3072, true),
  embeddingModel('text-embedding-ada-002', '2', 1536, false),
];

const BY_NAME = new Map(MODELS.map((model) => [model.name, model]));

/** The catalogue entry of a base model, or undefined. */
export function findModel(name: string): Model | undefined {
  return BY_NAME.get(name);
}
