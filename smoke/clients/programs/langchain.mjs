import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { z } from 'zod';
import { azureChat, chat, embeddings } from '../settings/langchain.mjs';
import { report } from './report.mjs';

const { MODELS, PROMPT } = process.env;
const models = JSON.parse(MODELS);
const ways = { ChatOpenAI: chat, AzureChatOpenAI: azureChat };
const schema = z.object({ city: z.string() });
const weather = tool(({ city }) => `21 degrees in ${city}`, {
  name: 'weather',
  description: 'Tells the weather',
  schema,
});

function casesOf(way, name) {
  const of = (what) => `${what}, ${way}, ${name}`;
  const model = ways[way](name);
  return {
    [of('text')]: async () => {
      const answer = await model.invoke(PROMPT);
      return { text: answer.text, tokens: answer.usage_metadata?.total_tokens };
    },
    [of('stream')]: async () => {
      let whole;
      for await (const piece of await model.stream(PROMPT)) whole = whole?.concat(piece) ?? piece;
      return { text: whole.text, tokens: whole.usage_metadata?.total_tokens };
    },
    [of('tool loop')]: async () => {
      const bound = model.bindTools([weather]);
      const asked = new HumanMessage(`[SIM:tool weather {"city":"Oslo"}] ${PROMPT}`);
      const first = await bound.invoke([asked]);
      const results = await Promise.all(
        first.tool_calls.map(
          async ({ id, args }) =>
            new ToolMessage({ tool_call_id: id, content: await weather.invoke(args) }),
        ),
      );
      const second = await bound.invoke([asked, first, ...results]);
      return { text: second.text, calls: first.tool_calls.length };
    },
    [of('object')]: async () =>
      await model.withStructuredOutput(schema, { name: 'weather' }).invoke(PROMPT),
  };
}

const cases = {};
for (const way of Object.keys(ways)) {
  for (const model of models.language) Object.assign(cases, casesOf(way, model));
}
cases['embeddings'] = async () => {
  const vectors = await embeddings(models.embeddings).embedDocuments(['one', 'two', 'three']);
  return vectors.map((vector) => vector.length);
};
cases['unknown model'] = async () => await chat('no-such-model').invoke(PROMPT);

await report(cases);
