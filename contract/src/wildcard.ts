/** True when `name` matches a pattern in which every `*` stands for any text, none included. Takes linear time. */
export function matchesPattern(pattern: string, name: string): boolean {
  const parts = pattern.split('*');
  const [head = '', ...rest] = parts;
  const tail = rest.pop();
  if (tail === undefined) return pattern === name;
  if (!name.startsWith(head) || !name.endsWith(tail)) return false;
  let from = head.length;
  for (const part of rest) {
    const found = name.indexOf(part, from);
    if (found < 0) return false;
    from = found + part.length;
  }
  return from <= name.length - tail.length;
}

/** What the single `*` of a pattern stands for in `name`; undefined when it does not match. */
export function filledBy(pattern: string, name: string): string | undefined {
  const star = pattern.indexOf('*');
  if (star < 0 || !matchesPattern(pattern, name)) return undefined;
  return name.slice(star, name.length - (pattern.length - star - 1));
}

/** Orders patterns with one `*` so that the most specific comes first: the longest, then the one with the longer beginning. */
export function bySpecificity(a: string, b: string): number {
  return b.length - a.length || b.indexOf('*') - a.indexOf('*');
}

/** The entry that counts for a name: its own, else the most specific pattern that matches. Names are told apart by case. */
export function entryFor(names: readonly string[], name: string): string | undefined {
  if (names.includes(name)) return name;
  return names
    .filter((entry) => entry.includes('*') && matchesPattern(entry, name))
    .sort(bySpecificity)[0];
}
