import { describe, expect, it } from 'vitest';
import { configure } from './compile.ts';
import { formatPath } from './config-problems.ts';
import { parseVaultReference, vaultOrigin } from './key-vault.ts';

describe('a reference to a Key Vault', () => {
  it.each([
    ['keyvault/contoso/azure-key', 'https://contoso.vault.azure.net'],
    ['keyvault/contoso.vault.azure.net/azure-key', 'https://contoso.vault.azure.net'],
    ['keyvault/contoso.vault.azure.cn/azure-key', 'https://contoso.vault.azure.cn'],
    [
      'keyvault/contoso.vault.usgovcloudapi.net/azure-key',
      'https://contoso.vault.usgovcloudapi.net',
    ],
  ])('%s is a secret of %s', (text, vault) => {
    expect(parseVaultReference(text)).toEqual({ kind: 'vault', vault, name: 'azure-key' });
  });

  it.each([
    'keyvault/azure-key',
    'keyvault/contoso/azure_key',
    'keyvault/contoso/azure-key/version',
    'keyvault/contoso/',
    'keyvault/evil.example/azure-key',
    'keyvault/contoso.vault.azure.net.evil.example/azure-key',
    'keyvault/contoso.vault.azure.net:8443/azure-key',
    'keyvault/user@contoso.vault.azure.net/azure-key',
    'keyvault/a/azure-key',
    'os.environ/azure-key',
  ])('%s is none: tokens for vaults go to vaults alone', (text) => {
    expect(parseVaultReference(text)).toBeUndefined();
  });

  it('names its vault by address as well, in a list of vaults', () => {
    expect(vaultOrigin('https://Contoso.vault.azure.net/')).toBe('https://contoso.vault.azure.net');
    expect(vaultOrigin('http://contoso.vault.azure.net')).toBeUndefined();
  });
});

const environment = {
  AIGATEWAY_PROFILE: 'development',
  AZURE_KEY_VAULT_URI: 'https://contoso.vault.azure.net/',
  IN_ENVIRONMENT: 'value-of-the-environment',
};

function compiled(params: object, general: object = {}, more: object = {}) {
  return configure(
    {
      model_list: [
        {
          model_name: 'm',
          litellm_params: {
            model: 'azure/m',
            api_base: 'https://a.openai.azure.com',
            ...params,
          },
        },
      ],
      general_settings: general,
      ...more,
    },
    environment,
  );
}

function methodOf(params: object, general: object = {}) {
  const { records, problems } = compiled(params, general);
  expect(problems).toEqual([]);
  return records.credentials[0]?.method;
}

const fromVault = (name: string) => ({
  kind: 'api-key',
  key: { kind: 'vault', vault: 'https://contoso.vault.azure.net', name },
});

const litellm = { key_management_system: 'azure_key_vault' };

describe('a credential of the file', () => {
  it('is a secret of a vault where it says so', () => {
    expect(methodOf({ api_key: 'keyvault/contoso/azure-key' })).toEqual(fromVault('azure-key'));
    expect(
      methodOf({ tenant_id: 't', client_id: 'c', client_secret: 'keyvault/contoso/app' }),
    ).toMatchObject({ kind: 'client-secret', secret: { kind: 'vault', name: 'app' } });
  });

  it('is looked up in the vault of key_management_system, as LiteLLM does', () => {
    expect(methodOf({ api_key: 'os.environ/AZURE-API-KEY' }, litellm)).toEqual(
      fromVault('AZURE-API-KEY'),
    );
    expect(methodOf({ api_key: 'os.environ/AZURE_KEY_EAST' }, litellm)).toEqual(
      fromVault('AZURE-KEY-EAST'),
    );
  });

  it('comes from the environment where that holds it, or where hosted_keys does not name it', () => {
    const inEnvironment = { kind: 'api-key', key: { kind: 'env', name: 'IN_ENVIRONMENT' } };
    expect(methodOf({ api_key: 'os.environ/IN_ENVIRONMENT' }, litellm)).toEqual(inEnvironment);
    const hosted = (names: string[]) => ({
      ...litellm,
      key_management_settings: { hosted_keys: names },
    });
    expect(methodOf({ api_key: 'os.environ/IN_ENVIRONMENT' }, hosted(['OTHER']))).toEqual(
      inEnvironment,
    );
    expect(methodOf({ api_key: 'os.environ/IN_ENVIRONMENT' }, hosted(['IN_ENVIRONMENT']))).toEqual(
      fromVault('IN-ENVIRONMENT'),
    );
  });

  it('is a problem when neither holds it', () => {
    const { problems } = compiled(
      { api_key: 'os.environ/OTHER' },
      { ...litellm, key_management_settings: { hosted_keys: ['X'] } },
    );
    expect(problems.map(({ path }) => formatPath(path))).toEqual([
      'model_list[0].litellm_params.api_key',
    ]);
  });

  it('that is written wrong, or names no vault of Azure, keeps the gateway from starting', () => {
    for (const text of ['keyvault/azure-key', 'keyvault/evil.example/azure-key'])
      expect(compiled({ api_key: text }).problems[0]).toMatchObject({
        path: ['model_list', 0, 'litellm_params', 'api_key'],
      });
  });
});

describe('settings of vaults', () => {
  it('need an address of a vault for key_management_system', () => {
    const raw = { general_settings: litellm };
    const without = { ...environment, AZURE_KEY_VAULT_URI: undefined };
    const problemsOf = (values: typeof without) =>
      configure(raw, values).problems.map(({ path }) => formatPath(path));
    expect(problemsOf(without)).toEqual(['general_settings.key_management_system']);
    expect(
      problemsOf({ ...without, AZURE_KEY_VAULT_URI: 'https://evil.example' as never }),
    ).toEqual(['$AZURE_KEY_VAULT_URI']);
  });

  it('of other systems are said to have no effect', () => {
    const { notices, problems } = compiled(
      { api_key: 'k' },
      { key_management_system: 'aws_secret_manager' },
    );
    expect(problems).toEqual([]);
    expect(notices).toContainEqual(
      expect.objectContaining({
        code: 'inert',
        path: ['general_settings', 'key_management_system'],
      }),
    );
  });

  it('take no key of callers from a vault: the reference itself would become the key', () => {
    const { problems } = compiled({ api_key: 'k' }, { master_key: 'keyvault/contoso/master' });
    expect(problems).toMatchObject([{ path: ['general_settings', 'master_key'] }]);
  });

  it('list the vaults that the API may refer to', () => {
    const vaults = (api_key_vaults: string[]) =>
      compiled({ api_key: 'k' }, {}, { aigateway_settings: { api_key_vaults } });
    expect(vaults(['contoso', 'https://b-vault.vault.azure.cn']).server.apiKeyVaults).toEqual([
      'https://contoso.vault.azure.net',
      'https://b-vault.vault.azure.cn',
    ]);
    expect(vaults(['contoso', 'evil.example']).problems).toMatchObject([
      { path: ['aigateway_settings', 'api_key_vaults', 1] },
    ]);
  });
});
