const end = '<!-- End of what is written by scripts/reference.ts. -->';

/**
 * A page with one part made anew.
 *
 * @param source - the file it is made from, which its place names
 * @throws {Error} for a page that has no place for it
 */
export function withWritten(page: string, source: string, part: string): string {
  const begin = `<!-- Written by scripts/reference.ts from ${source}; a test fails when it is behind. -->`;
  const from = page.indexOf(begin);
  const to = page.indexOf(end, from);
  if (from === -1 || to === -1) throw new Error(`there is no place for what ${source} says`);
  return `${page.slice(0, from + begin.length)}\n\n${part}\n\n${page.slice(to)}`;
}
