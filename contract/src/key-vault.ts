/** A secret of Azure Key Vault; without a version, the newest one counts. */
export type VaultReference = {
  kind: 'vault';
  /** Scheme, host and port of the vault, without a trailing slash. */
  vault: string;
  name: string;
};

const prefix = 'keyvault/';

/**
 * Hosts of vaults, by cloud; 127.0.0.1 and localhost are for stand-ins. No other host is ever sent a token that vaults take.
 *
 * @see https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates for names and host names
 */
const vaultHost =
  /^([a-z][a-z0-9-]{1,22}[a-z0-9]\.vault\.(azure\.net|azure\.cn|usgovcloudapi\.net)|(127\.0\.0\.1|localhost):\d{1,5})$/;
const vaultName = /^[a-z][a-z0-9-]{1,22}[a-z0-9]$/;
const secretName = /^[0-9a-zA-Z-]{1,127}$/;

/** How references are written, for messages. */
export const vaultReferenceForm = 'keyvault/VAULT/NAME';

/** Whether a text means a secret of a vault, well written or not. */
export function isVaultReference(text: string): boolean {
  return text.startsWith(prefix);
}

/**
 * Reads `keyvault/VAULT/NAME`, where `VAULT` is the name of a vault in the public cloud or the host name of any.
 *
 * @returns undefined for anything else
 */
export function parseVaultReference(text: string): VaultReference | undefined {
  if (!isVaultReference(text)) return undefined;
  const [written = '', name = '', ...more] = text.slice(prefix.length).split('/');
  const vault = vaultOrigin(written);
  return vault === undefined || !secretName.test(name) || more.length > 0
    ? undefined
    : { kind: 'vault', vault, name };
}

/** The origin of a vault by its name in the public cloud, its host name or its address; undefined for what is none. */
export function vaultOrigin(written: string): string | undefined {
  const host = written
    .trim()
    .toLowerCase()
    .replace(/^https:\/\//, '')
    .replace(/\/$/, '');
  if (vaultName.test(host)) return `https://${host}.vault.azure.net`;
  return vaultHost.test(host) ? `https://${host}` : undefined;
}

/** How a reference is written. */
export function formatVaultReference({
  vault,
  name,
}: Pick<VaultReference, 'vault' | 'name'>): string {
  return `${prefix}${new URL(vault).host}/${name}`;
}
