/** Something in an answer that the document does not allow. */
export type Violation = {
  /** Name of the exchange. */
  exchange: string;
  /** Where in the answer, as a JSON path; list positions are `*`, since all elements have one schema. */
  at: string;
  message: string;
};

/** `/choices/0/delta` → `$.choices[*].delta` */
export function jsonPath(pointer: string): string {
  const steps = pointer.split('/').slice(1);
  const names = steps.map((step) => {
    if (/^\d+$/.test(step)) return '[*]';
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    return /^[A-Za-z_]\w*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
  });
  return `$${names.join('')}`;
}
