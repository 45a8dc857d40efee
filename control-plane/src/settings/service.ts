import {
  type SettingField,
  settingFields,
  settingProblems,
  type SettingSection,
  settingSections,
  settingStanding,
  statesSetting,
} from '@aigateway/contract/changeable-settings';
import type { JsonObject, JsonValue } from '@aigateway/contract/records';
import { ApiError, detailError } from '../errors.ts';
import { type Call, type Outcome, timestamp } from '../http/call.ts';
import { put } from '../http/view.ts';
import { checkReferences } from '../models/secrets.ts';
import type { SettingsDocument } from '../store/documents.ts';
import type { Change } from '../store/entities.ts';

type Sent = { readonly [section in SettingSection]?: JsonObject | null | undefined };

/** Merges what is sent with what is stored: null takes a setting away. In force in every proxy once it is published. */
export async function changeSettings(call: Call, sent: Sent): Promise<Outcome> {
  const ignored: string[] = [];
  const changes: Change[] = [];
  for (const section of settingSections) {
    const given = Object.entries(sent[section] ?? {});
    const kept = given.filter(([name]) => {
      const hasEffect = checkChangeable(call, section, name);
      if (!hasEffect) ignored.push(`${section}.${name}`);
      return hasEffect;
    });
    if (kept.length === 0) continue;
    checkValues(section, Object.fromEntries(kept.filter(([, value]) => value !== null)));
    const stored = await call.view.get('settings', section);
    const names = new Set(kept.map(([name]) => name));
    const values = Object.fromEntries([
      ...Object.entries(stored?.values ?? {}).filter(([name]) => !names.has(name)),
      ...kept.filter(([, value]) => value !== null),
    ]);
    changes.push(put('settings', section, written(call, section, stored, values)));
  }
  return { answer: undefined, changes, ignored, subject: changes[0]?.id ?? '' };
}

function written(
  call: Call,
  section: SettingSection,
  stored: SettingsDocument | undefined,
  values: JsonObject,
): SettingsDocument {
  const at = timestamp(call);
  return {
    created_at: at,
    created_by: call.actor.id,
    ...stored,
    section,
    values,
    updated_at: at,
    updated_by: call.actor.id,
  };
}

/**
 * @returns false for what has no effect here
 * @throws ApiError 400 for what the file owns, and for what cannot be changed while everything runs
 */
function checkChangeable(call: Call, section: SettingSection, name: string): boolean {
  const standing = settingStanding(section, name);
  if (standing === 'unknown' || standing === 'inert') return false;
  if (standing === 'refused') {
    throw detailError(400, {
      error: `This gateway does not have what ${section}.${name} asks for. It is refused rather than ignored, because something would go unprotected.`,
    });
  }
  if (standing === 'fixed') {
    throw detailError(400, {
      error: `${section}.${name} stands in the configuration file or the environment alone: it is read at the start, or decides what is trusted.`,
    });
  }
  if (statesSetting(call.settings.fileSettings, section, name)) throw ownedByFile(section, name);
  return true;
}

function ownedByFile(section: SettingSection, name: string): Error {
  const error = `${section} key '${name}' is set in the config file and cannot be changed here.`;
  return new ApiError(400, error, {
    detail: {
      error,
      keys: [name],
      section,
      resolution: 'Change it in the file, or remove it there to let the API own it.',
    },
  });
}

function checkValues(section: SettingSection, values: JsonObject): void {
  checkReferences(values, section, []);
  const problems = settingProblems({ [section]: values });
  if (problems.length > 0) throw detailError(400, { error: problems.join(' ') });
}

export async function setSetting(
  call: Call,
  section: SettingSection,
  name: string,
  value: unknown,
): Promise<Outcome> {
  if (settingStanding(section, name) === 'unknown') throw unknownSetting(section, name);
  const values = Object.fromEntries([[name, (value ?? null) as JsonValue]]);
  const outcome = await changeSettings(call, { [section]: values });
  return { ...outcome, answer: await sectionOf(call, section, outcome.changes) };
}

export async function deleteSetting(
  call: Call,
  section: SettingSection,
  name: string,
): Promise<Outcome> {
  if (settingStanding(section, name) === 'unknown') throw unknownSetting(section, name);
  const stored = await call.view.get('settings', section);
  if (!Object.hasOwn(stored?.values ?? {}, name)) {
    if (statesSetting(call.settings.fileSettings, section, name)) throw ownedByFile(section, name);
    throw notSet(name);
  }
  const values = Object.fromEntries(
    Object.entries(stored?.values ?? {}).filter(([other]) => other !== name),
  );
  const changes = [put('settings', section, written(call, section, stored, values))];
  return { answer: await sectionOf(call, section, changes), changes };
}

async function sectionOf(
  call: Call,
  section: SettingSection,
  changes: readonly Change[] = [],
): Promise<object> {
  const change = changes.find(({ kind, id }) => kind === 'settings' && id === section);
  const values =
    change?.kind === 'settings'
      ? change.document?.values
      : (await call.view.get('settings', section))?.values;
  return { param_name: section, param_value: values ?? {} };
}

function unknownSetting(section: SettingSection, name: string): Error {
  return detailError(400, {
    error: `Invalid field=${name} passed in: ${section} has no such one.`,
  });
}

function notSet(name: string): Error {
  return detailError(400, { error: `Field name=${name} is not set` });
}

type Standing = { readonly value: JsonValue; readonly source: 'config' | 'db' };

/** Settings of a section that somebody gave, by name: the file's count before those of the API. */
export async function currentSettings(
  call: Call,
  section: SettingSection,
): Promise<ReadonlyMap<string, Standing>> {
  const { fileSettings } = call.settings;
  const stored = (await call.view.get('settings', section))?.values ?? {};
  const standing = new Map<string, Standing>();
  for (const [name, value] of Object.entries(stored)) {
    if (!statesSetting(fileSettings, section, name)) standing.set(name, { value, source: 'db' });
  }
  for (const [name, value] of Object.entries(fileSettings[section] ?? {}))
    standing.set(name, { value, source: 'config' });
  return standing;
}

export async function showSetting(
  call: Call,
  section: SettingSection,
  name: string,
): Promise<Outcome> {
  if (settingStanding(section, name) === 'unknown') throw unknownSetting(section, name);
  const standing = (await currentSettings(call, section)).get(name);
  if (standing === undefined) throw notSet(name);
  const { value, source } = standing;
  return {
    answer: { field_name: name, field_value: value, source, editable: source === 'db' },
  };
}

export async function listSettings(call: Call, section: SettingSection): Promise<Outcome> {
  const current = await currentSettings(call, section);
  return {
    answer: settingFields(section).map((field) => {
      const standing = current.get(field.name);
      return {
        field_name: field.name,
        field_type: typeName(field),
        field_description: field.description,
        field_value: standing?.value ?? null,
        field_default_value: field.default ?? null,
        stored_in_db: standing?.source === 'db',
        source: standing?.source ?? 'default',
        editable: standing?.source !== 'config' && !statesInFile(call, section, field.name),
      };
    }),
  };
}

function statesInFile(call: Call, section: SettingSection, name: string): boolean {
  return statesSetting(call.settings.fileSettings, section, name);
}

export async function routerSettings(call: Call): Promise<Outcome> {
  const current = await currentSettings(call, 'router_settings');
  const names = [...current.keys()];
  return {
    answer: {
      ...routerFields((name) => current.get(name)?.value ?? null),
      current_values: Object.fromEntries(names.map((name) => [name, current.get(name)?.value])),
      source: Object.fromEntries(names.map((name) => [name, current.get(name)?.source])),
    },
  };
}

/** How a deployment is chosen among those of a model, by the strategies that `routing_strategy` takes. */
const strategies: { readonly [strategy: string]: string } = {
  'simple-shuffle': 'By chance, by weight or by the limits of the deployments',
  'round-robin': 'One after the other',
  'least-busy': 'The one with the fewest calls in flight',
  'latency-based-routing': 'One of those that answered fastest',
  'cost-based-routing': 'The cheapest',
  'usage-based-routing-v2': 'The one with the most of its limits left',
};

export function routerFields(valueOf: (name: string) => JsonValue): object {
  return {
    fields: settingFields('router_settings').map((field) => ({
      field_name: field.name,
      field_type: typeName(field),
      field_value: valueOf(field.name),
      field_description: field.description,
      field_default: field.default ?? null,
      options: field.name === 'routing_strategy' ? Object.keys(strategies) : null,
      ui_field_name: field.name.replaceAll('_', ' '),
      link: null,
    })),
    routing_strategy_descriptions: strategies,
  };
}

/** LiteLLM's names of types, out of the words that say what a setting takes. */
function typeName({ type }: SettingField): string {
  if (type.startsWith('true')) return 'Boolean';
  if (type.startsWith('a whole number')) return 'Integer';
  if (/^(a number|seconds|US dollars)/.test(type)) return 'Float';
  if (/list/.test(type) && !type.startsWith('a map')) return 'List';
  return type.startsWith('a map') ? 'Dictionary' : 'String';
}

/** LiteLLM's list of its callbacks. There are none: what happens goes to standard output, metrics and the audit log. */
export async function loggingSettings(call: Call): Promise<Outcome> {
  const timeout = (await currentSettings(call, 'litellm_settings')).get('request_timeout');
  return {
    answer: {
      alerting: 'None',
      'litellm.callbacks': [],
      'litellm.input_callback': [],
      'litellm.failure_callback': [],
      'litellm.success_callback': [],
      'litellm._async_success_callback': [],
      'litellm._async_failure_callback': [],
      'litellm._async_input_callback': [],
      all_litellm_callbacks: [],
      num_callbacks: 0,
      num_alerting: 0,
      'litellm.request_timeout': timeout?.value ?? null,
    },
  };
}

/** The same for the dashboard, with the router's settings. */
export async function activeCallbacks(call: Call): Promise<Outcome> {
  const current = await currentSettings(call, 'router_settings');
  return {
    answer: {
      status: 'success',
      callbacks: [],
      alerts: [],
      active_alerting_destinations: [],
      router_settings: Object.fromEntries([...current].map(([name, { value }]) => [name, value])),
      available_callbacks: {},
    },
  };
}
