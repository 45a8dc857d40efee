import type { Report } from './config-problems.ts';
import { isSet, type Environment } from './environment-config.ts';
import { formatVaultReference, vaultOrigin } from './key-vault.ts';

/** The reference that stands in the place of `os.environ/NAME`; undefined where the variable itself is meant. */
export type VaultLookup = (variable: string) => string | undefined;

/**
 * LiteLLM's `key_management_system: azure_key_vault`: credentials that are named as variables are secrets of the vault in
 * `AZURE_KEY_VAULT_URI`. `hosted_keys` says which; without it, all that the environment does not hold. Names of secrets have no
 * underscores: those of variables become hyphens.
 *
 * @param general - `general_settings` as read
 * @returns undefined where no vault is asked; what is wrong has been reported
 */
export function vaultLookup(
  general: unknown,
  environment: Environment,
  report: Report,
): VaultLookup | undefined {
  const settings = isMap(general) ? general : {};
  const system = settings['key_management_system'] ?? 'local';
  const path = ['general_settings', 'key_management_system'];
  if (system === 'local') return undefined;
  if (system !== 'azure_key_vault') {
    report.notice('inert', path, 'has no effect: only azure_key_vault is known here');
    return undefined;
  }
  if (!isSet(environment, 'AZURE_KEY_VAULT_URI')) {
    const hint = 'Set AZURE_KEY_VAULT_URI=https://NAME.vault.azure.net.';
    report.problem(path, 'needs the address of the vault', hint);
    return undefined;
  }
  const vault = vaultOrigin(environment['AZURE_KEY_VAULT_URI'] ?? '');
  if (vault === undefined) {
    const hint = 'Write https://NAME.vault.azure.net, or the host of a sovereign cloud.';
    report.problem(['$AZURE_KEY_VAULT_URI'], 'is no address of a Key Vault', hint);
    return undefined;
  }
  const management = settings['key_management_settings'];
  if (isMap(management) && management['access_mode'] === 'write_only') return undefined;
  const hosted = isMap(management) ? management['hosted_keys'] : undefined;
  const isHeld = Array.isArray(hosted)
    ? (name: string) => hosted.includes(name)
    : (name: string) => !isSet(environment, name);
  return (name) =>
    isHeld(name) ? formatVaultReference({ vault, name: name.replaceAll('_', '-') }) : undefined;
}

function isMap(value: unknown): value is { [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
