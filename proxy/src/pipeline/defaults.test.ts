import { describe, expect, it } from 'vitest';
import { defaultsOn } from './defaults.ts';

const ofChat = {
  temperature: 0.2,
  max_tokens: 300,
  reasoning_effort: 'high',
  verbosity: 'low',
  response_format: { type: 'json_object' },
  seed: 4,
  stop: ['x'],
  n: 2,
  vendor: { own: true },
};

describe("a deployment's defaults", () => {
  it('are those of chat on chat', () => {
    expect(defaultsOn('chat', ofChat)).toEqual(ofChat);
  });

  it('have the names of responses there, without what it does not have', () => {
    expect(defaultsOn('responses', ofChat)).toEqual({
      temperature: 0.2,
      max_output_tokens: 300,
      reasoning: { effort: 'high' },
      text: { format: { type: 'json_object' }, verbosity: 'low' },
      vendor: { own: true },
    });
  });

  it('that are written for responses have the names of chat there', () => {
    const ofResponses = {
      max_output_tokens: 300,
      reasoning: { effort: 'high' },
      text: { verbosity: 'low' },
      instructions: 'be brief',
      truncation: 'auto',
    };
    expect(defaultsOn('responses', ofResponses)).toEqual(ofResponses);
    expect(defaultsOn('chat', ofResponses)).toEqual({
      max_completion_tokens: 300,
      reasoning: { effort: 'high' },
      verbosity: 'low',
    });
  });

  it('are few on completions and embeddings', () => {
    expect(defaultsOn('completions', { ...ofChat, max_tokens: null, vendor: 1 })).toEqual({
      temperature: 0.2,
      max_tokens: null,
      seed: 4,
      stop: ['x'],
      n: 2,
      vendor: 1,
    });
    expect(defaultsOn('completions', { max_completion_tokens: 7 })).toEqual({ max_tokens: 7 });
    expect(defaultsOn('embeddings', { max_tokens: 8191, dimensions: 3 })).toEqual({
      dimensions: 3,
    });
  });

  it('are none where there are none', () => {
    for (const operation of ['chat', 'responses', 'completions', 'embeddings'] as const)
      expect(defaultsOn(operation, {})).toEqual({});
  });
});
