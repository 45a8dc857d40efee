import { describe, expect, it } from 'vitest';
import {
  settingFields,
  settingSections,
  settingsOfFile,
  settingStanding,
  statesSetting,
  withSettings,
} from './changeable-settings.ts';
import { configure } from './compile.ts';

describe('settings that a control plane changes', () => {
  it('stand behind those of the file, whichever of two names they have there', () => {
    const raw = { router_settings: { cooldown_time: 3 }, litellm_settings: { num_retries: 1 } };
    const { records } = configure(
      withSettings(raw, {
        router_settings: { cooldown_time: 9, num_retries: 9, max_fallbacks: 2 },
        general_settings: { master_key: 'sk-of-the-store-not-of-the-file' },
      }),
      {},
    );
    expect(records.router).toMatchObject({ coolDownMs: 3000, retries: 1, maxFallbacks: 2 });
    expect(records.keys).toEqual([]);
  });

  it('leave a configuration as it is where there are none', () => {
    const raw = { router_settings: { cooldown_time: 3 }, model_list: [] };
    expect(withSettings(raw, {})).toEqual(raw);
  });

  it('are never a secret, an identity, or what only a start can change', () => {
    const names = settingSections.flatMap((section) =>
      settingFields(section).map(({ name }) => `${section}.${name}`),
    );
    expect(names.filter((name) => /key|password|redis|identity|timezone|token/.test(name))).toEqual(
      [],
    );
    expect(settingStanding('general_settings', 'master_key')).toBe('fixed');
    expect(settingStanding('litellm_settings', 'ssl_verify')).toBe('refused');
    expect(settingStanding('router_settings', 'redis_url')).toBe('inert');
    expect(settingStanding('router_settings', 'constructor')).toBe('unknown');
  });

  it('are told of a file without its other members', () => {
    const file = settingsOfFile({
      general_settings: { master_key: 'sk-secret', completion_model: 'm' },
      litellm_settings: { request_timeout: 5 },
      router_settings: null,
    });
    expect(file).toEqual({
      general_settings: { completion_model: 'm' },
      litellm_settings: { request_timeout: 5 },
      router_settings: {},
    });
    expect(statesSetting(file, 'router_settings', 'timeout')).toBe(true);
    expect(statesSetting(file, 'router_settings', 'stream_timeout')).toBe(false);
    expect(statesSetting(file, 'general_settings', 'constructor')).toBe(false);
  });
});
