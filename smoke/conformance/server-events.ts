/** One event of a stream; without `data` nothing (a comment, a blank) is one. */
export type ServerEvent = { event?: string; data: string };

/** Splits the whole text of a server-sent event stream into its events. */
export function parseEvents(text: string): ServerEvent[] {
  return text
    .split(/\r?\n\r?\n/)
    .map((block) => {
      const lines = block.split(/\r?\n/);
      const field = (name: string): string[] =>
        lines
          .filter((line) => line.startsWith(`${name}:`))
          .map((line) => line.slice(name.length + 1).replace(/^ /, ''));
      const [event] = field('event');
      const data = field('data');
      return { lines: data.length, data: data.join('\n'), ...(event ? { event } : {}) };
    })
    .filter(({ lines }) => lines > 0)
    .map(({ lines: _lines, ...event }) => event);
}
