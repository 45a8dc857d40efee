import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clientsFolder } from './client-packages.ts';
import { settingsText } from './settings.ts';

const page = readFileSync(join(clientsFolder, '..', '..', 'docs', 'clients.md'), 'utf8');
const files = readdirSync(join(clientsFolder, 'settings')).filter((name) => name.includes('.'));

/** Rows of the table of what is proven, by the name of the client. */
const rows = new Map(
  page
    .split('\n')
    .filter((line) => /^\| (?!Client |-)/.test(line))
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .map((cells) => [cells[1] ?? '', { provenBy: cells[3] ?? '', version: cells[4] ?? '' }]),
);

describe('docs/clients.md', () => {
  it.each(files)('shows %s as the tests use it', (file) => {
    const shown = new RegExp(
      `<!-- ${file.replaceAll('.', '\\.')} -->\\n\\n\`\`\`\\w+\\n([^]*?)\\n\`\`\`\\n`,
    ).exec(page)?.[1];
    expect(shown).toBe(settingsText(file).trimEnd());
  });

  it('shows no settings that the tests do not use', () => {
    const shown = [...page.matchAll(/<!-- (\S+) -->/g)].map(([, file]) => file ?? '');
    expect(shown.toSorted()).toEqual(files.toSorted());
  });

  it('names the versions of the programs that run', () => {
    const { dependencies } = JSON.parse(
      readFileSync(join(clientsFolder, 'package.json'), 'utf8'),
    ) as { dependencies: Record<string, string> };
    const packages = {
      'Codex CLI': '@openai/codex',
      opencode: 'opencode-ai',
      Continue: '@continuedev/cli',
      'Qwen Code': '@qwen-code/qwen-code',
      'OpenAI SDK, Node': 'openai',
      'AI SDK': 'ai',
      LangChain: '@langchain/openai',
    };
    for (const [client, name] of Object.entries(packages)) {
      expect({ client, version: rows.get(client)?.version }).toEqual({
        client,
        version: dependencies[name],
      });
    }
    const requirements = readFileSync(join(clientsFolder, 'requirements.txt'), 'utf8');
    expect(requirements).toContain(`openai==${rows.get('OpenAI SDK, Python')?.version ?? ''}\n`);
    const litellm = readFileSync(join(clientsFolder, 'requirements-litellm.txt'), 'utf8');
    expect(litellm).toContain(`litellm==${rows.get('LiteLLM, Python client')?.version ?? ''}\n`);
  });

  it('says "program" of programs that run, and "replay" of the others', () => {
    const proofs: Record<string, string> = {
      'Codex CLI': 'codex.e2e.ts',
      opencode: 'opencode.e2e.ts',
      Continue: 'continue.e2e.ts',
      'Qwen Code': 'qwen-code.e2e.ts',
      'OpenAI SDK, Node': 'openai-node.e2e.ts',
      'OpenAI SDK, Python': 'openai-python.e2e.ts',
      'OpenAI SDK, Go': 'openai-go.e2e.ts',
      'LiteLLM, Python client': 'litellm-python.e2e.ts',
      'AI SDK': 'ai-sdk.e2e.ts',
      LangChain: 'langchain.e2e.ts',
      'Roo Code': 'replays/roo-code.ts',
      Cline: 'replays/cline.ts',
      Qoder: 'replays/qoder.ts',
      'Kilo Code': 'replays/kilo.ts',
      aider: 'replays/aider.ts',
    };
    expect([...rows.keys()].toSorted()).toEqual(Object.keys(proofs).toSorted());
    for (const [client, proof] of Object.entries(proofs)) {
      expect(existsSync(join(clientsFolder, proof))).toBe(true);
      expect(rows.get(client)?.provenBy).toMatch(
        proof.startsWith('replays/') ? /^replay/ : /^program/,
      );
    }
  });
});
