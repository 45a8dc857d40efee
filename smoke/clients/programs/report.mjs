/**
 * Runs cases one after another and writes a JSON line for each: its value, or its error.
 *
 * @param {Record<string, () => unknown>} cases
 */
export async function report(cases) {
  for (const [name, run] of Object.entries(cases)) {
    process.stdout.write(`${JSON.stringify({ case: name, ...(await outcomeOf(run)) })}\n`);
  }
}

async function outcomeOf(run) {
  try {
    return { value: (await run()) ?? null };
  } catch (thrown) {
    // Libraries wrap the refusal in an error of their own after their retries.
    const error = thrown.lastError ?? thrown;
    return {
      error: {
        type: error.name,
        message: error.message,
        status: error.status ?? error.statusCode,
        retryAfter: error.responseHeaders?.['retry-after'],
      },
    };
  }
}
