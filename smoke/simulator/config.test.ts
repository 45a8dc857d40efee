import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { defaultConfig, loadConfig, resolveConfig } from './config.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'simulator-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true });
});

function load(name: string, text: string): unknown {
  const path = join(directory, name);
  writeFileSync(path, text);
  return loadConfig(path);
}

describe('the configuration', () => {
  it('is read from YAML and from JSON alike, with every default filled in', () => {
    const yaml =
      'resources:\n  - name: east\n    keys: [k]\n    deployments: [{ name: d, model: gpt-4o }]\n';
    const json =
      '{"resources":[{"name":"east","keys":["k"],"deployments":[{"name":"d","model":"gpt-4o"}]}]}';
    expect(load('a.yaml', yaml)).toEqual(load('a.json', json));
    expect(load('a.yaml', yaml)).toMatchObject({
      rateLimitWording: 'classic',
      resources: [{ region: 'eastus2', keyAuth: true, deployments: [{ quota: { rpm: 60_000 } }] }],
    });
  });

  it('is refused with all its problems at once', () => {
    const wrong = {
      resources: [
        { name: 'east', keys: ['k'], colour: 'red' },
        { name: 'east', keys: ['k'] },
      ],
      maxCustomHeaders: -1,
    };
    expect(() => resolveConfig(wrong)).toThrow(
      /colour[^]*maxCustomHeaders|maxCustomHeaders[^]*colour/,
    );
    const twice = {
      resources: [
        { name: 'east', keys: ['k'] },
        { name: 'east', keys: ['k'] },
      ],
    };
    expect(() => resolveConfig(twice)).toThrow('resource east is defined twice');
  });

  it('has a default with a model of every kind', () => {
    const [resource] = resolveConfig(defaultConfig).resources;
    expect(resource).toMatchObject({ name: 'simulator', keys: ['simulated-key'] });
    expect(resource?.deployments.map(({ name }) => name)).toEqual([
      'gpt-5.3-codex',
      'gpt-4o',
      'gpt-4o-mini',
      'gpt-5',
      'text-embedding-3-small',
      'text-embedding-3-large',
    ]);
  });
});
