import type * as z from 'zod';
import { configSchema } from './config.ts';
import { keyMeta, typeOf } from './config-fields.ts';
import { formatProblem, type Problem } from './config-problems.ts';
import { parseConfig } from './parse-config.ts';
import type { JsonObject } from './records.ts';

/** Sections of the configuration of which a control plane can change settings while everything runs. */
export const settingSections = ['router_settings', 'litellm_settings', 'general_settings'] as const;

export type SettingSection = (typeof settingSections)[number];

/** Settings by section and name, as a configuration file states them. */
export type Settings = { readonly [section in SettingSection]?: JsonObject };

/**
 * - `changeable`: takes effect in every process that it concerns, without a restart
 * - `inert`: has no effect here at all
 * - `refused`: ignoring it would weaken safety or money
 * - `fixed`: what the file and the environment alone decide: secrets, identities, the calendar, and what a process takes once
 * - `unknown`: no setting of the section
 */
export type SettingStanding = 'changeable' | 'inert' | 'refused' | 'fixed' | 'unknown';

/** All of the router's; of the others those that are part of the published records, or that a control plane goes by each time, and name neither secret nor identity. */
const changeable: { readonly [section in SettingSection]: ReadonlySet<string> | 'all' } = {
  router_settings: 'all',
  litellm_settings: new Set([
    'drop_params',
    'request_timeout',
    'num_retries',
    'allowed_fails',
    'fallbacks',
    'context_window_fallbacks',
    'content_policy_fallbacks',
    'default_fallbacks',
    'model_alias_map',
    'max_budget',
    'budget_duration',
    'budget_exceeded_status_code',
    'extra_spend_tag_headers',
  ]),
  general_settings: new Set([
    'completion_model',
    'user_header_name',
    'always_include_stream_usage',
    'global_max_parallel_requests',
    'maximum_spend_logs_retention_period',
    'maximum_spend_logs_retention_interval',
  ]),
};

/** Settings of `litellm_settings` that mean one of `router_settings`, by its name there. */
const routerTwins: { readonly [name: string]: string } = {
  request_timeout: 'timeout',
  num_retries: 'num_retries',
  allowed_fails: 'allowed_fails',
  fallbacks: 'fallbacks',
  context_window_fallbacks: 'context_window_fallbacks',
  content_policy_fallbacks: 'content_policy_fallbacks',
  default_fallbacks: 'default_fallbacks',
};

/** Whether the settings state this one, in its own section or in the other that has it too. */
export function statesSetting(settings: Settings, section: SettingSection, name: string): boolean {
  const has = (where: SettingSection, what: string) => Object.hasOwn(settings[where] ?? {}, what);
  if (has(section, name)) return true;
  if (section === 'litellm_settings') {
    const twin = Object.hasOwn(routerTwins, name) ? routerTwins[name] : undefined;
    return twin !== undefined && has('router_settings', twin);
  }
  if (section !== 'router_settings') return false;
  return Object.entries(routerTwins).some(
    ([other, twin]) => twin === name && has('litellm_settings', other),
  );
}

/** What becomes of a setting that is given over the API. */
export function settingStanding(section: SettingSection, name: string): SettingStanding {
  const fields = shapeOf(section);
  const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
  const status = field === undefined ? undefined : keyMeta(field)?.status;
  if (status === undefined) return 'unknown';
  if (status !== 'effective') return status;
  const names = changeable[section];
  return names === 'all' || names.has(name) ? 'changeable' : 'fixed';
}

export type SettingField = {
  readonly name: string;
  /** The values it takes, in words. */
  readonly type: string;
  readonly description: string;
  /** In words, as the reference page has it. */
  readonly default?: string;
};

/** The changeable settings of a section, in the order of the reference page. */
export function settingFields(section: SettingSection): readonly SettingField[] {
  return Object.entries(shapeOf(section)).flatMap(([name, field]) => {
    const meta = keyMeta(field);
    if (meta === undefined || settingStanding(section, name) !== 'changeable') return [];
    return [
      {
        name,
        type: meta.type ?? typeOf(field),
        description: meta.description,
        ...(meta.default !== undefined && { default: meta.default }),
      },
    ];
  });
}

/** What is wrong with the values of settings; one line for each. */
export function settingProblems(settings: Settings): readonly string[] {
  return parseConfig(settings).report.problems.map((problem: Problem) => formatProblem(problem));
}

/** The changeable settings of a configuration file as it stands. */
export function settingsOfFile(raw: { readonly [section: string]: unknown }): Settings {
  return Object.fromEntries(
    settingSections.map((section) => {
      const values = raw[section];
      const entries = typeof values === 'object' && values !== null ? Object.entries(values) : [];
      return [
        section,
        Object.fromEntries(
          entries.filter(([name]) => settingStanding(section, name) === 'changeable'),
        ),
      ];
    }),
  );
}

/** A configuration with more settings; its own count before them. */
export function withSettings(
  raw: { readonly [section: string]: unknown },
  settings: Settings,
): { readonly [section: string]: unknown } {
  const merged = settingSections.flatMap((section) => {
    const more = Object.entries(settings[section] ?? {}).filter(
      ([name]) =>
        settingStanding(section, name) === 'changeable' &&
        !statesSetting(raw as Settings, section, name),
    );
    return more.length === 0
      ? []
      : [
          [
            section,
            { ...Object.fromEntries(more), ...(raw[section] as object | undefined) },
          ] as const,
        ];
  });
  return { ...raw, ...Object.fromEntries(merged) };
}

function shapeOf(section: SettingSection): { readonly [name: string]: z.ZodType } {
  return configSchema.shape[section].unwrap().shape;
}
