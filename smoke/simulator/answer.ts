import { BLOCKED_ANSWER_TEXT } from './content-filter.ts';
import { withoutMagicWords } from './magic-words.ts';
import { conversationDigest, lastUserText } from './prompt.ts';
import type { OfferedTool, Prompt } from './prompt.ts';
import { fillSchema } from './schema-filler.ts';
import { estimateTokens, firstTokens } from './tokens.ts';

/** A tool call the model makes. */
export type AnswerCall = {
  kind: 'function' | 'custom';
  name: string;
  namespace?: string;
  /** JSON text, or free text for a custom tool. */
  arguments: string;
};

/** Why the model stopped. */
export type Finish = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** What the model says, freed of the spelling of its operation. */
export type Answer = {
  text?: string;
  refusal?: string;
  calls: AnswerCall[];
  finish: Finish;
  /** Reasoning summary, when one was asked for. */
  summary?: string;
  reasoningTokens: number;
  /** Everything generated, reasoning included. */
  completionTokens: number;
};

/** Who answers. */
export type Speaker = { resource: string; deployment: string; reasoning: boolean };

/** The text of every refusal. */
const REFUSAL_TEXT = "I'm sorry, but I cannot assist with that request.";

/** Reasoning tokens by effort, for models that reason. */
export const REASONING_TOKENS: Readonly<Record<string, number>> = {
  none: 0,
  minimal: 0,
  low: 16,
  medium: 64,
  high: 128,
  xhigh: 256,
  max: 512,
};

/** An echo repeats at most this many tokens of what was asked. */
const ECHO_TOKENS = 100;

/**
 * What the model answers: a tool call when one is demanded, JSON when a format is, else a text that names the
 * resource, the deployment, the digest of the conversation and the last thing the user said.
 */
export function composeAnswer(prompt: Prompt, speaker: Speaker): Answer {
  const reasoningTokens = speaker.reasoning ? reasoningFor(prompt) : 0;
  const said = whatIsSaid(prompt, speaker);
  const limit = (prompt.maxOutputTokens ?? Number.POSITIVE_INFINITY) - reasoningTokens;
  const answer: Answer = { ...said, reasoningTokens, completionTokens: 0 };
  if (answer.text !== undefined && estimateTokens(answer.text) > limit) {
    answer.text = firstTokens(answer.text, limit);
    answer.finish = 'length';
  }
  if (speaker.reasoning && (prompt.summary || prompt.words.summary)) {
    answer.summary = `**Thinking about it** The user said: ${echoOf(prompt)}`;
  }
  answer.completionTokens = reasoningTokens + shownTokens(answer);
  return answer;
}

function reasoningFor(prompt: Prompt): number {
  const wanted = prompt.words.reasoningTokens ?? REASONING_TOKENS[prompt.effort ?? 'medium'] ?? 0;
  // Half the maximum stays for the answer; otherwise a small maximum would give no text at all.
  return Math.min(wanted, Math.floor((prompt.maxOutputTokens ?? Number.POSITIVE_INFINITY) / 2));
}

function shownTokens(answer: Answer): number {
  let tokens = estimateTokens(answer.text ?? '') + estimateTokens(answer.refusal ?? '');
  for (const call of answer.calls) tokens += estimateTokens(call.name + call.arguments);
  return tokens;
}

function whatIsSaid(
  prompt: Prompt,
  speaker: Speaker,
): Pick<Answer, 'text' | 'refusal' | 'calls' | 'finish'> {
  const { words } = prompt;
  if (words.blockOutput) return { text: BLOCKED_ANSWER_TEXT, calls: [], finish: 'content_filter' };
  if (words.refuse) return { refusal: REFUSAL_TEXT, calls: [], finish: 'stop' };
  const calls = callsFor(prompt);
  if (calls.length > 0) return { calls, finish: 'tool_calls' };
  return { text: answerText(prompt, speaker), calls: [], finish: 'stop' };
}

function answerText(prompt: Prompt, speaker: Speaker): string {
  const { words, format } = prompt;
  if (words.say !== undefined) return words.say;
  if (words.tokens !== undefined) return longText(words.tokens);
  const digest = conversationDigest(prompt.entries);
  if (format.kind === 'json_schema') {
    return JSON.stringify(fillSchema(format.schema, `${speaker.deployment}-${digest}`));
  }
  if (format.kind === 'json_object') {
    return JSON.stringify({
      resource: speaker.resource,
      deployment: speaker.deployment,
      digest,
      said: echoOf(prompt),
    });
  }
  const last = prompt.entries.at(-1);
  const from = `[${speaker.resource}/${speaker.deployment} ${digest}]`;
  if (last?.kind === 'output') {
    return `${from} The tool returned: ${firstTokens(last.text, ECHO_TOKENS)}`;
  }
  return `${from} You said: ${echoOf(prompt)}`;
}

function echoOf(prompt: Prompt): string {
  return firstTokens(withoutMagicWords(lastUserText(prompt.entries)), ECHO_TOKENS);
}

/** A text of exactly `tokens` tokens: numbered words of four characters. */
function longText(tokens: number): string {
  return Array.from({ length: tokens }, (_, index) => String(index % 1000).padStart(3, '0'))
    .join(' ')
    .padEnd(tokens * 4, '.');
}

function callsFor(prompt: Prompt): AnswerCall[] {
  const callable = prompt.tools.filter((tool) => tool.kind !== 'hosted');
  // A model that has just been given its result talks; otherwise an agent would never come to an end.
  if (
    callable.length === 0 ||
    prompt.toolChoice.mode === 'none' ||
    prompt.entries.at(-1)?.kind === 'output'
  ) {
    return [];
  }
  const { names } = prompt.toolChoice;
  const allowed =
    names === undefined ? callable : callable.filter((tool) => names.includes(tool.name));
  const wanted = prompt.words.tools.flatMap((word) => {
    const tool = allowed.find((candidate) => candidate.name === word.name);
    return tool === undefined ? [] : [callOf(tool, word.arguments)];
  });
  const first = allowed[0];
  if (wanted.length === 0 && first !== undefined && prompt.toolChoice.mode === 'required') {
    wanted.push(callOf(first));
  }
  const [repeated] = wanted;
  if (repeated !== undefined && prompt.words.parallel !== undefined) {
    while (wanted.length < prompt.words.parallel) wanted.push(repeated);
  }
  return prompt.parallelToolCalls ? wanted : wanted.slice(0, 1);
}

function callOf(tool: OfferedTool, given?: string): AnswerCall {
  const filled =
    tool.kind === 'custom'
      ? `input of ${tool.name}`
      : JSON.stringify(fillSchema(tool.parameters ?? { type: 'object' }, tool.name));
  return {
    kind: tool.kind === 'custom' ? 'custom' : 'function',
    name: tool.name,
    ...(tool.namespace === undefined ? {} : { namespace: tool.namespace }),
    arguments: given ?? filled,
  };
}
