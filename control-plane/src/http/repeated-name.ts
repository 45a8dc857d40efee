/**
 * The first name that one object of a JSON text has twice, at whatever depth. Readers disagree about which of the two counts: one
 * before the gateway, which audits or filters what passes, may see another value than the one that is written.
 *
 * @param text - valid JSON
 */
export function repeatedName(text: string): string | undefined {
  /** Names of the objects that are open, the innermost last; an array has none. */
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '{') open.push(new Set());
    else if (character === '[') open.push(undefined);
    else if (character === '}' || character === ']') open.pop();
    else if (character === '"') {
      const end = endOfString(text, at);
      const names = open.at(-1);
      if (names !== undefined && isName(text, end)) {
        const name = JSON.parse(text.slice(at, end)) as string;
        if (names.has(name)) return name;
        names.add(name);
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** Offset after the closing quote of the string that opens at `at`. */
function endOfString(text: string, at: number): number {
  let end = at + 1;
  while (text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
  return end + 1;
}

const colon = /[ \t\n\r]*:/y;

function isName(text: string, end: number): boolean {
  colon.lastIndex = end;
  return colon.test(text);
}
