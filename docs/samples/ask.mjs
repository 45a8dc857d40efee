// Asks a model one question and prints the answer as it comes: ask.mjs MODEL QUESTION. Needs the package "openai".
// GATEWAY_URL and GATEWAY_KEY say where the gateway is and who asks.
import OpenAI from 'openai';

const [model, question] = process.argv.slice(2);
const client = new OpenAI({
  baseURL: `${process.env.GATEWAY_URL}/v1`,
  apiKey: process.env.GATEWAY_KEY,
});

const stream = await client.chat.completions.create({
  model,
  stream: true,
  messages: [{ role: 'user', content: question }],
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
process.stdout.write('\n');
