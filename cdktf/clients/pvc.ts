/** What the environments of this client have in common. */

const chat = { name: 'gpt-5.3-codex', model: 'gpt-5.3-codex', version: '2026-02-24' };
const embeddings = {
  name: 'text-embedding-3-small',
  model: 'text-embedding-3-small',
  version: '1',
};

/** The same with a capacity of so many thousand tokens a minute each. */
export const deployments = (capacity: number) => ({
  chat: { ...chat, capacity },
  embeddings: { ...embeddings, capacity },
});

export const defaultModels = {
  chat: chat.name,
  responses: chat.name,
  embeddings: embeddings.name,
};
