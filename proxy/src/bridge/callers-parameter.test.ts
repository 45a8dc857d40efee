import { describe, expect, it } from 'vitest';
import { callersParameter } from './callers-parameter.ts';
import { bridgeFor } from './index.ts';

function named(
  from: 'chat' | 'completions' | 'responses',
  to: 'chat' | 'responses',
  param: string,
  request: Parameters<typeof callersParameter>[2],
): string {
  return callersParameter(param, bridgeFor(from, to)?.tables ?? [], request);
}

describe('the parameter of an error about a bridged request', () => {
  it.each([
    ['input', { messages: [] }, 'messages'],
    ['input[2].content[0].text', { messages: [] }, 'messages'],
    ['inputs', { messages: [] }, 'inputs'],
    ['reasoning.effort', { messages: [], reasoning_effort: 'x' }, 'reasoning_effort'],
    ['reasoning.effort', { messages: [], reasoning: { effort: 'x' } }, 'reasoning.effort'],
    ['max_output_tokens', { messages: [], max_tokens: 1 }, 'max_tokens'],
    ['max_output_tokens', { max_tokens: null, max_completion_tokens: 1 }, 'max_completion_tokens'],
    ['text.format.schema', { messages: [], response_format: {} }, 'response_format'],
    ['text.verbosity', { messages: [], verbosity: 'x' }, 'verbosity'],
    ['tools[0].name', { messages: [], tools: [{}] }, 'tools[0].name'],
    ['tools[0].name', { messages: [], functions: [{}] }, 'functions'],
    ['tool_choice', { messages: [], function_call: 'x' }, 'function_call'],
    ['temperature', { messages: [] }, 'temperature'],
    ['vendor_field', { messages: [] }, 'vendor_field'],
  ])('%s of %j is the %s of chat', (param, request, expected) => {
    expect(named('chat', 'responses', param, request)).toBe(expected);
  });

  it.each([
    ['messages[1].content', { input: 'hi' }, 'input'],
    ['max_completion_tokens', { input: 'hi', max_output_tokens: 1 }, 'max_output_tokens'],
    ['reasoning_effort', { input: 'hi', reasoning: { effort: 'x' } }, 'reasoning'],
    ['response_format.json_schema', { input: 'hi', text: { format: {} } }, 'text'],
  ])('%s of %j is the %s of responses', (param, request, expected) => {
    expect(named('responses', 'chat', param, request)).toBe(expected);
  });

  it.each([
    ['input', { prompt: 'hi' }, 'prompt'],
    ['max_output_tokens', { prompt: 'hi', max_tokens: 1 }, 'max_tokens'],
  ])('%s of %j is the %s of completions', (param, request, expected) => {
    expect(named('completions', 'responses', param, request)).toBe(expected);
  });
});
