import data from '../data/prices.json' with { type: 'json' };
import type { ModelFacts, Operation, PriceRecord } from './records.ts';

/** One model of the price file. Prices are integer pico-USD per token. */
export type PriceEntry = {
  readonly mode: string;
  readonly maxInputTokens?: number;
  readonly maxOutputTokens?: number;
  /** Day the upstream stops serving the model. */
  readonly retires?: string;
  readonly supports?: readonly string[];
  /** Paths that the model answers, where they are known. */
  readonly endpoints?: readonly string[];
  readonly prices?: PriceRecord;
};

/** The price file: what is known about models by name, on one day. */
export type PriceFile = {
  /** Day the facts were taken, `YYYY-MM-DD`. */
  readonly date: string;
  readonly source: string;
  readonly models: { readonly [name: string]: PriceEntry };
};

/** What is known about a model. Without `prices` its use is not priced by tokens. */
export type PriceFinding = {
  /** The entry's name in the price file. */
  readonly name: string;
  readonly prices?: PriceRecord;
  readonly facts: ModelFacts;
  /** What the model is known to answer; absent = not known. */
  readonly operations?: readonly Operation[];
};

const models: ReadonlyMap<string, PriceEntry> = new Map(
  Object.entries(data.models as PriceFile['models']),
);

/** Day of the price file, `YYYY-MM-DD`. */
export const priceDate: string = data.date;

/** Prefixes that say how a model is reached, not which it is. */
const routePrefix = /^(azure|azure_ai|azure_text|openai|responses|o_series|gpt5_series)\//;
/** Azure's kinds of deployment with prices of their own. */
const zonePrefix = /^(eu|us|us-gov|apac|global|global-standard|datazone)\//;

/** Words that make another model out of the name before them: prices do not carry over. */
const variantWords: ReadonlySet<string> = new Set([
  'audio',
  'chat',
  'codex',
  'deep',
  'diarize',
  'flash',
  'high',
  'image',
  'instruct',
  'large',
  'live',
  'low',
  'luna',
  'max',
  'medium',
  'micro',
  'mini',
  'nano',
  'oss',
  'plus',
  'preview',
  'pro',
  'realtime',
  'research',
  'search',
  'small',
  'sol',
  'spark',
  'terra',
  'transcribe',
  'translate',
  'tts',
  'turbo',
  'ultra',
  'vision',
  'whisper',
  'astra',
]);

/**
 * Finds a model by what `base_model`, an answer's `model` or a deployment's name say. First that fits:
 *
 * 1. the very name, with or without `azure/` and with its data zone (`eu/`, `us/`);
 * 2. without its date (`-2024-11-20`, `-0613`): a version not listed costs what its model does;
 * 3. the longest listed name that it begins with, when the next word does not make another model of it
 *    (`gpt-4o-eastus` is `gpt-4o`, `gpt-4o-ultra` is unknown);
 * 4. the same three without the data zone.
 */
export function lookUp(name: string): PriceFinding | undefined {
  const known = findings.get(name);
  if (known !== undefined || findings.has(name)) return known;
  const found = find(name);
  if (findings.size >= mostFindings) findings.clear();
  findings.set(name, found);
  return found;
}

/** Answers already found: upstreams name the same few models in every answer. */
const findings = new Map<string, PriceFinding | undefined>();
const mostFindings = 1000;

/** Azure's model router. The price file has what the choice costs, not what the chosen model does. */
const routers: ReadonlySet<string> = new Set(['model-router']);

/**
 * What an answer of a deployment is charged by: the deployment's prices; where its name says nothing (a wildcard), those of the
 * model that the upstream says it was; where it chose a model (a router), both.
 */
export function priceOf(
  listed: PriceRecord | undefined,
  servedModel: string | undefined,
): PriceRecord | undefined {
  if (listed !== undefined && listed.isSurcharge !== true) return listed;
  const served = servedModel === undefined ? undefined : lookUp(servedModel)?.prices;
  if (listed === undefined) return served;
  return served === undefined || served.isSurcharge === true ? listed : added(served, listed.input);
}

type InputPrices = {
  input: number;
  cachedInput?: number;
  cacheWrite?: number;
  audioInput?: number;
};

/** The prices with a surcharge on every kind of input token. */
function added(prices: PriceRecord, surcharge: number): PriceRecord {
  const raise = <Prices extends InputPrices>(one: Prices): Prices => {
    const raised = { ...one };
    for (const part of ['input', 'cachedInput', 'cacheWrite', 'audioInput'] as const) {
      const price = one[part];
      if (price !== undefined) raised[part] = price + surcharge;
    }
    return raised;
  };
  const { long, tiers } = prices;
  return {
    ...raise(prices),
    ...(long !== undefined && { long: raise(long) }),
    ...(tiers !== undefined && {
      tiers: Object.fromEntries(Object.entries(tiers).map(([tier, one]) => [tier, raise(one)])),
    }),
  };
}

function find(name: string): PriceFinding | undefined {
  let bare = name.trim().toLowerCase();
  while (routePrefix.test(bare)) bare = bare.replace(routePrefix, '');
  const found = findName(bare) ?? findName(bare.replace(zonePrefix, ''));
  const entry = found === undefined ? undefined : models.get(found);
  return found === undefined || entry === undefined ? undefined : finding(found, entry);
}

/** Price overrides of a deployment; what it leaves open stays as the price file has it. */
export type PriceOverride = {
  readonly [part in keyof Omit<PriceRecord, 'long' | 'tiers' | 'isSurcharge'>]?: number | undefined;
};

/**
 * Prices with the overrides of the configuration.
 *
 * Overriding `input` or `output` also drops the special prices that hang on it (cache, long prompts, tiers), unless they
 * are overridden too: half a price list would bill capacity that was declared free.
 *
 * @returns undefined when neither the file nor the overrides give a price for input
 */
export function overridePrices(
  listed: PriceRecord | undefined,
  override: PriceOverride,
): PriceRecord | undefined {
  const given = Object.fromEntries(
    Object.entries(override).filter(([, price]) => price !== undefined),
  ) as Partial<PriceRecord>;
  if (given.input === undefined && given.output === undefined) {
    return listed ? { ...listed, ...given } : undefined;
  }
  const input = given.input ?? listed?.input;
  const output = given.output ?? listed?.output ?? 0;
  if (input === undefined) return undefined;
  const keepsInput = given.input === undefined && listed !== undefined;
  const keepsOutput = given.output === undefined && listed !== undefined;
  return {
    ...(keepsInput ? pick(listed, ['cachedInput', 'cacheWrite', 'audioInput']) : {}),
    ...(keepsOutput ? pick(listed, ['audioOutput', 'reasoning']) : {}),
    ...given,
    input,
    output,
  };
}

function pick(prices: PriceRecord, parts: readonly (keyof PriceRecord)[]): Partial<PriceRecord> {
  return Object.fromEntries(
    parts.flatMap((part) => (prices[part] === undefined ? [] : [[part, prices[part]]])),
  ) as Partial<PriceRecord>;
}

function findName(name: string): string | undefined {
  if (models.has(name)) return name;
  const undated = name.replace(/-(\d{4}-\d{2}-\d{2}|\d{4})(-preview)?$/, '');
  if (models.has(undated)) return undated;
  for (let end = name.length - 1; end > 0; end -= 1) {
    if (name[end] !== '-' && name[end] !== '_') continue;
    const head = name.slice(0, end);
    if (!models.has(head)) continue;
    const next = /^[a-z0-9.]*/.exec(name.slice(end + 1))?.[0] ?? '';
    return variantWords.has(next) || /^\d/.test(next) ? undefined : head;
  }
  return undefined;
}

const operationByPath: { readonly [path: string]: Operation } = {
  '/v1/chat/completions': 'chat',
  '/v1/completions': 'completions',
  '/v1/embeddings': 'embeddings',
  '/v1/responses': 'responses',
};

/** The operations served here among paths such as `/v1/responses`. */
export function operationsOf(paths: readonly string[]): Operation[] {
  return paths.flatMap((path) => operationByPath[path] ?? []);
}

function finding(name: string, entry: PriceEntry): PriceFinding {
  const facts: ModelFacts = { mode: entry.mode, baseModel: name };
  if (entry.maxInputTokens !== undefined) facts.maxInputTokens = entry.maxInputTokens;
  if (entry.maxOutputTokens !== undefined) facts.maxOutputTokens = entry.maxOutputTokens;
  if (entry.supports !== undefined) facts.supports = entry.supports;
  const operations = knownOperations(entry);
  return {
    name,
    facts,
    ...(entry.prices === undefined
      ? {}
      : { prices: routers.has(name) ? { ...entry.prices, isSurcharge: true } : entry.prices }),
    ...(operations === undefined ? {} : { operations }),
  };
}

/** The file's list of paths is complete only when it names the responses path; other chat models are learned. */
function knownOperations(entry: PriceEntry): Operation[] | undefined {
  const listed = operationsOf(entry.endpoints ?? []);
  switch (entry.mode) {
    case 'chat':
      return listed.includes('responses') ? listed : undefined;
    case 'responses':
      return listed.length > 0 ? listed : ['responses'];
    case 'embedding':
      return ['embeddings'];
    case 'completion':
      return ['completions'];
    default:
      return [];
  }
}
