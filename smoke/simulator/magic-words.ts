/** Commands found in a prompt or in the `x-sim` header; see docs/guides/simulator.md for their meaning. */
export type MagicWords = {
  /** Category under which the prompt is blocked. */
  blockPrompt?: string;
  blockOutput: boolean;
  filterDown: boolean;
  asyncFilter: boolean;
  refuse: boolean;
  /** Length of the answer, in tokens. */
  tokens?: number;
  /** Tools to be called, with arguments as JSON text where given. */
  tools: { name: string; arguments?: string }[];
  /** How many calls of the first tool are made at once. */
  parallel?: number;
  splitBytes?: number;
  delayMs?: number;
  thinkMs?: number;
  reasoningTokens?: number;
  summary: boolean;
  /** A run in the background fails. */
  failRun: boolean;
  /** Tool arguments come whole in their `done` event, without deltas. */
  doneOnly: boolean;
  /** The exact text of the answer. */
  say?: string;
  /** The words of a fault command. */
  fault?: string;
};

const COMMAND_START = '[SIM:';

/**
 * Reads the commands of a prompt text and of a header.
 *
 * @param text - `[SIM:word argument]` anywhere in it; names ignore case, and `_` equals `-`
 * @param header - `word argument; word argument`, or undefined
 */
export function readMagicWords(text: string, header?: string): MagicWords {
  const words: MagicWords = {
    blockOutput: false,
    filterDown: false,
    asyncFilter: false,
    refuse: false,
    tools: [],
    summary: false,
    failRun: false,
    doneOnly: false,
  };
  for (const command of commandsIn(text)) apply(words, command);
  for (const command of (header ?? '').split(';')) {
    if (command.trim() !== '') apply(words, command.trim());
  }
  return words;
}

/** The text without its commands, so that an echo does not repeat them. */
export function withoutMagicWords(text: string): string {
  let left = '';
  let start = 0;
  for (const [from, to] of commandSpans(text)) {
    left += text.slice(start, from);
    start = to + 1;
  }
  return (left + text.slice(start)).trim();
}

function commandsIn(text: string): string[] {
  return commandSpans(text).map(([from, to]) => text.slice(from + COMMAND_START.length, to));
}

/** Positions of the opening and closing bracket of every command. */
function commandSpans(text: string): [from: number, to: number][] {
  const found: [number, number][] = [];
  const upper = text.includes('[') ? text.toUpperCase() : '';
  let start = upper.indexOf(COMMAND_START);
  while (start >= 0) {
    const end = endOfCommand(text, start);
    if (end < 0) break;
    found.push([start, end]);
    start = upper.indexOf(COMMAND_START, end);
  }
  return found;
}

/** Index of the bracket that closes the command, skipping brackets inside JSON arguments. */
function endOfCommand(text: string, start: number): number {
  let depth = 0;
  let quoted = false;
  for (let index = start; index < text.length; index += 1) {
    const character = text[index];
    if (quoted && character === '\\') index += 1;
    else if (character === '"') quoted = depth > 0 && !quoted;
    else if (!quoted && character === '[') depth += 1;
    else if (!quoted && character === ']') {
      depth -= 1;
      if (depth === 0) return index;
    }
  }
  return -1;
}

function apply(words: MagicWords, command: string): void {
  const [, rawName = '', argument = ''] = /^([A-Za-z_-]+)\s*([^]*)$/.exec(command) ?? [];
  const count = Number(argument);
  switch (rawName.toLowerCase().replaceAll('_', '-')) {
    case 'block-prompt':
      words.blockPrompt = argument === '' ? 'jailbreak' : argument;
      break;
    case 'block-output':
      words.blockOutput = true;
      break;
    case 'filter-down':
      words.filterDown = true;
      break;
    case 'async-filter':
      words.asyncFilter = true;
      break;
    case 'refuse':
      words.refuse = true;
      break;
    case 'tokens':
      if (Number.isSafeInteger(count) && count > 0) words.tokens = count;
      break;
    case 'tool': {
      const [, name = '', json = ''] = /^(\S+)\s*([^]*)$/.exec(argument) ?? [];
      if (name !== '') words.tools.push(json === '' ? { name } : { name, arguments: json });
      break;
    }
    case 'parallel':
      if (Number.isSafeInteger(count) && count > 0) words.parallel = count;
      break;
    case 'split':
      if (Number.isSafeInteger(count) && count > 0) words.splitBytes = count;
      break;
    case 'delay':
      if (count >= 0) words.delayMs = count;
      break;
    case 'think':
      if (count >= 0) words.thinkMs = count;
      break;
    case 'reasoning':
      if (Number.isSafeInteger(count) && count >= 0) words.reasoningTokens = count;
      break;
    case 'summary':
      words.summary = true;
      break;
    case 'fail-run':
      words.failRun = true;
      break;
    case 'done-only':
      words.doneOnly = true;
      break;
    case 'say':
      words.say = argument;
      break;
    case 'fault':
      words.fault = argument;
      break;
    default:
      // An unknown command is ordinary text: prompts may speak of the simulator.
      break;
  }
}
