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
