import { describe, expect, it } from 'vitest';
import { createLitellmOpener } from './litellm-secret.ts';

/** Made by PyNaCl, which LiteLLM uses: "azure-key-of-litellm" under "sk-litellm-salt", with the nonce 0, 1, … 23. */
const urlSafe = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXieV8JTS20C_JdkSfv5ot1sluSD6KUXgz5Rr5lJ2OvoxVqt3R';

describe('secrets as LiteLLM stores them', () => {
  it('are opened with its salt key, in either base64', () => {
    const open = createLitellmOpener(['another key', 'sk-litellm-salt']);
    expect(open(urlSafe)).toEqual({ text: 'azure-key-of-litellm' });
    expect(open(urlSafe.replaceAll('_', '/'))).toEqual({ text: 'azure-key-of-litellm' });
  });

  it('stay locked without it, when they were changed, and in a form that is not known', () => {
    const open = createLitellmOpener(['another key']);
    expect(open(urlSafe)).toBe('locked');
    const changed = `${urlSafe.slice(0, 70)}A${urlSafe.slice(71)}`;
    expect(createLitellmOpener(['sk-litellm-salt'])(changed)).toBe('locked');
    expect(open('v2:gcm:AAAA')).toBe('locked');
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
