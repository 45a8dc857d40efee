import { describe, expect, it } from 'vitest';
import { createLitellmOpener } from './litellm-secret.ts';

/** Made by PyNaCl, which LiteLLM uses: "azure-key-of-litellm" under "sk-litellm-salt", with the nonce 0, 1, … 23. */
const urlSafe = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXieV8JTS20C_JdkSfv5ot1sluSD6KUXgz5Rr5lJ2OvoxVqt3R';

/** Made by Python's cryptography with the nonce 0, 1, … 11: the same text by AES-256-GCM, the key by SHA-256 and by HKDF; and no text. */
const gcm = {
  v2: 'v2:gcm:AAECAwQFBgcICQoLgGVgMCGrqm5WTrQJS9-p-bKG-oqbNMH_BDd3rnDaKkLrCs0m',
  v3: 'v3:gcm:AAECAwQFBgcICQoL_mjKu5hfQ34XsuKtWbBYqDG5StIPaTtdyx4dlqRTWVXVT-fk',
  empty: 'v2:gcm:AAECAwQFBgcICQoLNj1qwZeg3ht4jnSlkFftKQ==',
};

describe('secrets as LiteLLM stores them', () => {
  it('are opened with its salt key, in either base64', () => {
    const open = createLitellmOpener(['another key', 'sk-litellm-salt']);
    expect(open(urlSafe)).toEqual({ text: 'azure-key-of-litellm' });
    expect(open(urlSafe.replaceAll('_', '/'))).toEqual({ text: 'azure-key-of-litellm' });
  });

  it('are opened by whichever algorithm sealed them', () => {
    const open = createLitellmOpener(['another key', 'sk-litellm-salt']);
    expect(open(gcm.v2)).toEqual({ text: 'azure-key-of-litellm' });
    expect(open(gcm.v3)).toEqual({ text: 'azure-key-of-litellm' });
    expect(open(gcm.empty)).toEqual({ text: '' });
  });

  it('stay locked without it, when they were changed, and when they are cut off', () => {
    const open = createLitellmOpener(['another key']);
    expect(open(urlSafe)).toBe('locked');
    const changed = `${urlSafe.slice(0, 70)}A${urlSafe.slice(71)}`;
    expect(createLitellmOpener(['sk-litellm-salt'])(changed)).toBe('locked');
    for (const sealed of Object.values(gcm)) {
      expect(open(sealed)).toBe('locked');
      const own = createLitellmOpener(['sk-litellm-salt']);
      expect(own(`${sealed.slice(0, 30)}A${sealed.slice(31)}`)).toBe('locked');
      expect(own(sealed.slice(0, 40))).toBe('locked');
      expect(own(sealed.slice(0, 7))).toBe('locked');
    }
  });

  it('are themselves where they were stored as they are', () => {
    const open = createLitellmOpener([]);
    for (const text of [
      'azure/gpt-4o',
      'https://my-resource.openai.azure.com',
      '0123456789abcdef0123456789abcdef',
      'os.environ/AZURE_API_KEY',
      '',
    ])
      expect(open(text)).toEqual({ text });
  });
});
