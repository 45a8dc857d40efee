import type { Settings } from '@aigateway/contract/changeable-settings';
import type { StandingChange } from '@aigateway/contract/standing-changes';
import type { Actor } from '../auth/actor.ts';
import type { Audit } from '../store/audit.ts';
import type { Change } from '../store/entities.ts';
import type { Dimension, Ledger } from '../store/ledger.ts';
import type { View } from './view.ts';

/** Seals secrets of upstreams, so that the store never holds them in the clear. */
export interface Sealer {
  seal(secret: string): string;
}

/** Sets what has been spent, with the other changes of the call: written together with them, or not at all. */
export interface SpendKeeper {
  reset(dimension: Dimension, id: string, toNanoUsd: number): void;
}

/** Sets what has been spent where budgets are counted, now that the store knows. */
export type TellSpend = (dimension: Dimension, id: string, toNanoUsd: number) => Promise<void>;

/** What LiteLLM's configuration says about keys, and on which calendar budgets run. */
export type ManagementSettings = {
  /** `litellm_key_header_name`, in lower case: the header that keys come in, where it is sent. */
  readonly keyHeader?: string | undefined;
  /** `default_key_generate_params`: fills what the caller left out. */
  readonly keyDefaults: { readonly [field: string]: unknown };
  /** `upperbound_key_generate_params`: caps, and fills unset limits with the cap. */
  readonly keyUpperBounds: { readonly [field: string]: number | string };
  /** `disable_custom_api_keys` */
  readonly customKeys: boolean;
  readonly timezone: string;
  readonly budgetResetTime: string;
  /** Models that a file owns, by id: known, and read-only here. */
  readonly fileModels: ReadonlyMap<string, FileModel>;
  /** Origins of the Key Vaults that models and credentials may refer to. */
  readonly keyVaults: readonly string[];
  /** Other names that the file gives models. */
  readonly fileAliases: readonly string[];
  /** Settings that a file owns: they count, and are read-only here. */
  readonly fileSettings: Settings;
};

/** A deployment of the configuration file. */
export type FileModel = {
  readonly name: string;
  readonly accessGroups: readonly string[];
  readonly provider: 'azure' | 'openai';
};

/** Everything a rule may know of the request it decides. */
export type Call = {
  readonly actor: Actor;
  readonly view: View;
  readonly ledger: Ledger;
  readonly audit: Audit;
  /** Milliseconds since the epoch; the same for the whole call. */
  readonly now: number;
  readonly settings: ManagementSettings;
  readonly sealer: Sealer;
  readonly spend: SpendKeeper;
  /** How deployments fared, as all proxies saw it, the newest last. */
  readonly standingChanges: () => Promise<readonly StandingChange[]>;
  /** The path as it was declared, e.g. `/key/:key/regenerate`. */
  readonly route: string;
  /** `If-Match` of the request: see `admitsChange`. */
  readonly ifMatch: string | undefined;
};

/** What a rule decided: the answer, and what is to be written before it is given. */
export type Outcome = {
  readonly answer: unknown;
  readonly changes?: readonly Change[];
  /** What the audit record is about, where that is not the first change. */
  readonly subject?: string;
  /** Parts of fields that had no effect, for the header. */
  readonly ignored?: readonly string[];
  /** The version of the entity that is shown. */
  readonly version?: string | undefined;
  /** The answer as it is given when the request comes again: without secrets. Absent = the same. */
  readonly answerAgain?: unknown;
  /** Sent as it is instead of JSON, e.g. an export. */
  readonly contentType?: string;
};

/** ISO 8601 in UTC, of now. */
export function timestamp(call: Pick<Call, 'now'>): string {
  return new Date(call.now).toISOString();
}
