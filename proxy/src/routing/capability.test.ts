import { describe, expect, it } from 'vitest';
import type { DeploymentRecord, JsonObject, Operation } from '@aigateway/contract/records';
import {
  learnParameter,
  learnUnsupported,
  newLearned,
  capabilityFor,
  repairFromRefusal,
  repairsFor,
} from './capability.ts';
import { readErrorValue } from '../upstream/error-body.ts';
import { readRefusedParameter } from '../upstream/refused-parameter.ts';
import { deploymentRecord } from './records.fixture.ts';
import { applyRepairs, type Repair } from './repair.ts';

const start = 1_800_000_000_000;
const day = 86_400_000;
const stateOf = (record: Partial<DeploymentRecord> = {}) => ({
  record: deploymentRecord(record),
  learned: newLearned(),
});

describe('the operation to ask by', () => {
  it('is the asked one as long as nothing speaks against it', () => {
    expect(capabilityFor(stateOf(), 'chat', ['responses'], start)).toBe('chat');
  });

  it.each<[string, Partial<DeploymentRecord>, Operation, Operation | undefined]>([
    ['declared operations', { operations: ['responses'] }, 'chat', 'responses'],
    ['the mode responses', { facts: { mode: 'responses' } }, 'chat', 'responses'],
    ['the mode chat', { facts: { mode: 'chat' } }, 'chat', 'chat'],
    ['the mode embedding', { facts: { mode: 'embedding' } }, 'chat', undefined],
    ['the mode embedding', { facts: { mode: 'embedding' } }, 'embeddings', 'embeddings'],
    ['a mode that is none of ours', { facts: { mode: 'image_generation' } }, 'chat', undefined],
    ['a mode with an odd name', { facts: { mode: 'constructor' } }, 'chat', undefined],
    [
      'declarations over the mode',
      { operations: ['chat'], facts: { mode: 'responses' } },
      'chat',
      'chat',
    ],
  ])('follows %s', (_, record, asked, expected) => {
    const reachable: Operation[] = asked === 'chat' ? ['responses'] : [];
    expect(capabilityFor(stateOf(record), asked, reachable, start)).toBe(expected);
  });

  it('changes once the deployment refused it, even where it was declared', () => {
    const state = stateOf({ operations: ['chat', 'responses'] });
    learnUnsupported(state, 'chat', start);
    expect(capabilityFor(state, 'chat', ['responses'], start)).toBe('responses');
    expect(capabilityFor(state, 'chat', [], start)).toBeUndefined();
  });

  it('is learned anew after a day', () => {
    const state = stateOf();
    learnUnsupported(state, 'chat', start);
    expect(capabilityFor(state, 'chat', ['responses'], start + day - 1)).toBe('responses');
    expect(capabilityFor(state, 'chat', ['responses'], start + day)).toBe('chat');
  });

  it('follows a model that changes sides', () => {
    const state = stateOf();
    learnUnsupported(state, 'chat', start);
    learnUnsupported(state, 'responses', start + 3_600_000);
    expect(capabilityFor(state, 'chat', ['responses'], start + 3_600_000)).toBe('chat');
    expect(capabilityFor(state, 'responses', ['chat'], start + 3_600_000)).toBe('chat');
  });

  it('is not changed as a whole by what was refused of a part', () => {
    const state = stateOf();
    learnUnsupported(state, 'responses.compact', start);
    expect(capabilityFor(state, 'responses', [], start)).toBe('responses');
    const reachable = ['responses', 'chat'] as const;
    expect(capabilityFor(state, 'responses.compact', reachable, start)).toBe('responses');
    expect(capabilityFor(state, 'responses.input_tokens', [], start)).toBe(
      'responses.input_tokens',
    );
  });

  it('needs the whole for each of its parts', () => {
    const chatOnly = stateOf({ operations: ['chat'] });
    for (const part of ['responses.compact', 'responses.compaction_trigger'] as const) {
      expect(capabilityFor(chatOnly, part, ['responses', 'chat'], start)).toBe('chat');
    }
  });

  it('is never a path that the dialect does not have', () => {
    const classic = stateOf({ dialect: 'classic' });
    expect(capabilityFor(classic, 'responses.compact', ['responses'], start)).toBe('responses');
    expect(capabilityFor(classic, 'responses.compaction_trigger', [], start)).toBe(
      'responses.compaction_trigger',
    );
  });

  it('keeps what was refused long ago when a part is refused', () => {
    const state = stateOf();
    learnUnsupported(state, 'chat', start);
    learnUnsupported(state, 'responses.compact', start + 3_600_000);
    expect(capabilityFor(state, 'chat', ['responses'], start + 3_600_000)).toBe('responses');
  });

  it('is none when both ways were refused together', () => {
    const state = stateOf();
    learnUnsupported(state, 'chat', start);
    learnUnsupported(state, 'responses', start + 200);
    expect(capabilityFor(state, 'chat', ['responses'], start + 300)).toBeUndefined();
  });
});

describe('learned parameters', () => {
  const drop = (param: string): Repair => ({ param, action: 'drop' });

  it('are applied to their operation only, until they expire', () => {
    const state = stateOf();
    expect(learnParameter(state, 'chat', drop('seed'), start)).toBe(true);
    expect(repairsFor(state, 'chat', start)).toEqual([drop('seed')]);
    expect(repairsFor(state, 'responses', start)).toEqual([]);
    learnParameter(state, 'responses.compact', drop('reasoning'), start);
    expect(repairsFor(state, 'responses', start)).toEqual([]);
    expect(repairsFor(state, 'responses.compact', start)).toEqual([drop('reasoning')]);
    expect(repairsFor(state, 'chat', start + day)).toEqual([]);
    expect(state.learned.repairs.get('chat')?.size).toBe(0);
  });

  it('cost nothing to ask for again', () => {
    const state = stateOf({ family: 'reasoning' });
    learnParameter(state, 'chat', drop('seed'), start);
    expect(repairsFor(state, 'chat', start + 5)).toBe(repairsFor(state, 'chat', start));
  });

  it('stand beside what is configured and what is known of the family', () => {
    const state = stateOf({ family: 'reasoning', drop: ['user'] });
    learnParameter(
      state,
      'chat',
      { param: 'temperature', action: 'default-only', default: 1 },
      start,
    );
    const repairs = repairsFor(state, 'chat', start);
    expect(repairs.filter(({ param }) => param === 'temperature')).toEqual([
      { param: 'temperature', action: 'default-only', default: 1 },
    ]);
    expect(repairs).toContainEqual(drop('user'));
    expect(repairs.map(({ param }) => param)).toContain('max_tokens');
  });

  it('are found again when a new snapshot changes the record', () => {
    const state = stateOf();
    expect(repairsFor(state, 'chat', start)).toEqual([]);
    const changed = { ...state, record: deploymentRecord({ drop: ['user'] }) };
    expect(repairsFor(changed, 'chat', start)).toEqual([drop('user')]);
  });

  it('never undo each other when a model changes sides', () => {
    const state = stateOf({ family: 'reasoning' });
    learnParameter(
      state,
      'chat',
      { param: 'max_completion_tokens', action: 'rename', to: 'max_tokens' },
      start,
    );
    const body: JsonObject = { max_tokens: 5 };
    expect(applyRepairs(body, repairsFor(state, 'chat', start))).toEqual([]);
    learnParameter(
      state,
      'chat',
      { param: 'max_tokens', action: 'rename', to: 'max_completion_tokens' },
      start + 1,
    );
    applyRepairs(body, repairsFor(state, 'chat', start + 1));
    expect(body).toEqual({ max_completion_tokens: 5 });
  });

  it('stay bounded, the oldest forgotten first', () => {
    const state = stateOf();
    for (let index = 0; index < 500; index += 1) {
      learnParameter(state, 'chat', drop(`vendor_${index}`), start);
    }
    const repairs = repairsFor(state, 'chat', start);
    expect(repairs).toHaveLength(64);
    expect(repairs.at(-1)).toEqual(drop('vendor_499'));
  });

  it.each([
    'model',
    'messages',
    'tools',
    'tool_choice',
    'response_format',
    'text.format',
    'stream',
    'messages[0].content',
    'messages[3]',
    'input[1].call_id',
    'tools[0].function',
    '',
  ])('never include what the caller asked for: %s', (param) => {
    const state = stateOf();
    expect(learnParameter(state, 'chat', drop(param), start)).toBe(false);
    expect(repairsFor(state, 'chat', start)).toEqual([]);
  });
});

describe('a refusal', () => {
  const read = (operation: Operation, message: string, param?: string): Repair | undefined => {
    const refused = readRefusedParameter(readErrorValue({ message, param }));
    return refused === undefined ? undefined : repairFromRefusal(operation, refused);
  };

  it.each<[string, Operation, string, string | undefined, Repair]>([
    [
      'with a suggestion',
      'chat',
      "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
      'max_tokens',
      { param: 'max_tokens', action: 'rename', to: 'max_completion_tokens' },
    ],
    [
      'of the newer output limit by an older model',
      'chat',
      'Unrecognized request argument supplied: max_completion_tokens',
      undefined,
      { param: 'max_completion_tokens', action: 'rename', to: 'max_tokens' },
    ],
    [
      'of another operation’s output limit',
      'responses',
      "Unknown parameter: 'max_tokens'.",
      'max_tokens',
      { param: 'max_tokens', action: 'rename', to: 'max_output_tokens' },
    ],
    [
      'of a sampling value',
      'chat',
      "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.",
      'temperature',
      { param: 'temperature', action: 'default-only', default: 1 },
    ],
    [
      'of a number without a word on the default',
      'chat',
      "Unsupported value: 'temperature' does not support 0.2 with this model.",
      'temperature',
      { param: 'temperature', action: 'default-only' },
    ],
    [
      'of a switch',
      'chat',
      "Unsupported value: 'logprobs' does not support true with this model.",
      'logprobs',
      { param: 'logprobs', action: 'replace', from: true },
    ],
    [
      'of an effort',
      'responses',
      "Unsupported value: 'minimal' is not supported with the 'gpt-5.3-codex' model. Unsupported value: 'reasoning.effort' does not support 'minimal' with this model. Supported values are: 'low', 'medium', and 'high'.",
      'reasoning.effort',
      { param: 'reasoning.effort', action: 'replace', from: 'minimal' },
    ],
    [
      'of a role',
      'chat',
      "Unsupported value: 'messages[0].role' does not support 'developer' with this model.",
      'messages[0].role',
      { param: 'messages[].role', action: 'replace', from: 'developer', to: 'system' },
    ],
    [
      'of a nested unknown parameter',
      'responses',
      "Unknown parameter: 'stream_options.include_usage'.",
      'stream_options.include_usage',
      { param: 'stream_options.include_usage', action: 'drop' },
    ],
    [
      'of an additional property',
      'chat',
      "Additional properties are not allowed ('cache_control' was unexpected) - 'messages.0.content.1'",
      undefined,
      { param: 'messages[].content[].cache_control', action: 'drop' },
    ],
    [
      'without a param',
      'chat',
      "Unsupported parameter: 'top_p' is not supported with this model.",
      undefined,
      { param: 'top_p', action: 'drop' },
    ],
  ])('%s says what to change', (_, operation, message, param, expected) => {
    expect(read(operation, message, param)).toEqual(expected);
  });

  it.each([
    ['The response was filtered due to the prompt', 'prompt'],
    ["This model's maximum context length is 8192 tokens.", 'messages'],
    ['', undefined],
    ["Unknown parameter: 'a b; drop'.", undefined],
    ["Unsupported value: 'messages[0].role' does not support 'wizard' with this model.", undefined],
  ])('about something else says nothing: %s', (message, param) => {
    expect(read('chat', message, param)).toBeUndefined();
  });

  it('of an upstream that validates by schema names the place', () => {
    const issue = {
      type: 'extra_forbidden',
      loc: ['body', 'messages', 0, 'reasoning_content'],
      msg: 'Extra inputs are not permitted',
    };
    const refused = readRefusedParameter(readErrorValue({ detail: [issue] }));
    expect(refused && repairFromRefusal('chat', refused)).toEqual({
      param: 'messages[].reasoning_content',
      action: 'drop',
    });
  });

  it('without a message or a code says nothing', () => {
    expect(readRefusedParameter(readErrorValue({ code: 'x', param: null }))).toBeUndefined();
    expect(readRefusedParameter(readErrorValue({ param: 'temperature' }))).toBeUndefined();
  });
});
