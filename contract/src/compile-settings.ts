import { budget } from './compile-keys.ts';
import { type Config, vendorFields } from './config.ts';
import type { Limits, LimitScope } from './limits.ts';
import { optional } from './optional.ts';
import type { HolderRecord, SettingsRecord } from './records.ts';

/** Settings of the data plane with their defaults, which the reference page states as well. */
export function settingsRecord(config: Config): SettingsRecord {
  const ours = config.aigateway_settings ?? {};
  const litellm = config.litellm_settings ?? {};
  const general = config.general_settings ?? {};
  const customer = general.user_header_mappings?.find(
    (mapping) => mapping.litellm_user_role === 'customer',
  );
  const global = globalScope(config);
  return {
    sanitiseContentFilter: ours.sanitise_content_filter ?? true,
    responseModel: ours.response_model ?? 'native',
    cleanChatStream: ours.clean_chat_stream ?? true,
    alwaysIncludeStreamUsage: general.always_include_stream_usage ?? false,
    repairParameters: ours.repair_parameters ?? litellm.drop_params ?? true,
    bridge: ours.bridge ?? true,
    exposeUpstream: ours.expose_upstream ?? 'admin',
    budgetExceededStatus: litellm.budget_exceeded_status_code ?? 429,
    forwardHeaders: ours.forward_headers ?? [],
    dropVendorFields: ours.drop_vendor_fields ?? vendorFields,
    ...optional('keyHeader', general.litellm_key_header_name?.toLowerCase()),
    ...optional('userHeader', (general.user_header_name ?? customer?.header_name)?.toLowerCase()),
    ...optional('messageLogging', messageLogging(config)),
    spendTagHeaders: (litellm.extra_spend_tag_headers ?? []).map((name) => name.toLowerCase()),
    ...optional('globalScope', global),
    ...optional('customerLimits', customerLimits(config)),
    timezone: litellm.timezone ?? 'UTC',
    budgetResetTime: litellm.budget_reset_time ?? '00:00',
    extraRoutes: ours.extra_routes ?? [],
  };
}

/** Off unless it is switched on here, whatever keys say. */
function messageLogging({
  aigateway_settings: ours,
  litellm_settings: litellm,
}: Config): SettingsRecord['messageLogging'] {
  const isOn = ours?.message_logging === true && litellm?.turn_off_message_logging !== true;
  return isOn ? { maxLength: ours.message_logging_max_body ?? 16_384 } : undefined;
}

/** What each customer without a budget of its own may spend, unless the control plane finds one by `max_end_user_budget_id`. */
function customerLimits({ litellm_settings: litellm }: Config): Limits | undefined {
  const max = litellm?.max_end_user_budget;
  return max === undefined ? undefined : { budgets: [budget(max, undefined)] };
}

/** Tags with a budget: LiteLLM's `tag_budget_config`. */
export function tagRecords({ litellm_settings: litellm }: Config): HolderRecord[] {
  return Object.entries(litellm?.tag_budget_config ?? {}).flatMap(([id, fields]) => {
    const max = fields.max_budget ?? fields.budget_limit;
    if (max === undefined) return [];
    const budgets = [budget(max, fields.budget_duration ?? fields.time_period)];
    return [{ kind: 'tag', id, blocked: false, limits: { budgets }, models: [], regions: [] }];
  });
}

function globalScope(config: Config): LimitScope | undefined {
  const litellm = config.litellm_settings ?? {};
  const parallel = config.general_settings?.global_max_parallel_requests;
  // LiteLLM's 0 switches the budget off.
  const max = litellm.max_budget === 0 ? undefined : litellm.max_budget;
  if (max === undefined && parallel === undefined) return undefined;
  return {
    kind: 'global',
    id: 'global',
    label: 'global',
    limits: {
      ...optional('parallelRequests', parallel),
      ...(max === undefined ? {} : { budgets: [budget(max, litellm.budget_duration)] }),
    },
  };
}
