import { readFileSync } from 'node:fs';
import type { JsonObject } from '@aigateway/contract/records';
import { describe, expect, it } from 'vitest';
import { contextOf } from '../../test/fixtures/bridge/replay.ts';
import type { Bridge } from './bridge.ts';
import { chatOverResponses } from './chat-responses.ts';
import { completionsOverChat } from './completions-chat.ts';
import { chatToResponses, completionsToChat, responsesToChat } from './parameter-tables.ts';
import { responsesOverChat } from './responses-chat.ts';

const page = readFileSync(new URL('../../../docs/reference/bridges.md', import.meta.url), 'utf8');

const directions = [
  {
    heading: '## Chat on responses',
    table: chatToResponses,
    bridge: chatOverResponses,
    needed: { messages: [] },
  },
  {
    heading: '## Responses on chat',
    table: responsesToChat,
    bridge: responsesOverChat,
    needed: { input: 'Hi' },
  },
  {
    heading: '## Completions on chat',
    table: completionsToChat,
    bridge: completionsOverChat,
    needed: { prompt: 'Hi' },
  },
];

function section(heading: string): string {
  const start = page.indexOf(`${heading}\n`);
  const end = page.indexOf('\n## ', start + 1);
  return page.slice(start, end === -1 ? undefined : end);
}

function outcome(
  bridge: Bridge,
  request: JsonObject,
): { upstream: JsonObject; dropped: readonly string[] } {
  const { body, dropped } = bridge.request(request, contextOf(request));
  return { upstream: body, dropped };
}

describe.each(directions)('$heading', ({ heading, table, bridge, needed }) => {
  const parameters = Object.entries(table).filter(([name]) => !Object.hasOwn(needed, name));

  it('is documented parameter by parameter', () => {
    const rows = [
      ...section(heading).matchAll(
        /^\| `(\w+)` \| (carried|translated|dropped|refused) \| (.*) \|$/gm,
      ),
    ];
    expect(rows.map(([, name, fate, note]) => [name, fate, note])).toEqual(
      Object.entries(table).map(([name, { fate, note }]) => [name, fate, note]),
    );
  });

  it.each(parameters)('treats %s as the table says', (name, { fate }) => {
    const request = { ...needed, [name]: 'probe' };
    if (fate === 'refused') {
      expect(() => outcome(bridge, request)).toThrow(
        expect.objectContaining({ code: 'bridge_unsupported', param: name }),
      );
      return;
    }
    const { upstream, dropped } = outcome(bridge, request);
    expect(dropped).toEqual(fate === 'dropped' ? [name] : []);
    if (fate === 'carried') expect(upstream[name]).toBe('probe');
    if (fate === 'dropped') expect(upstream).not.toHaveProperty(name);
  });

  it.each(parameters)('has nothing to say about a null %s', (name) => {
    expect(outcome(bridge, { ...needed, [name]: null }).dropped).toEqual([]);
  });

  it('carries fields of vendors and no prototype', () => {
    const request = JSON.parse(`{"vendor":{"a":[1]},"__proto__":{"polluted":true}}`) as JsonObject;
    const { upstream } = outcome(bridge, { ...request, ...needed });
    expect(upstream.vendor).toEqual({ a: [1] });
    expect(upstream.polluted).toBeUndefined();
  });
});
