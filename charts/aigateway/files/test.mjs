// Run by `helm test` with the gateway's own Node: the image has no shell.
const { READY_URL, MODELS_URL, CALLER_KEY } = process.env;
const ready = await fetch(READY_URL);
console.log(`${READY_URL}: ${ready.status} ${(await ready.text()).trim()}`);
if (!ready.ok) process.exit(1);
if (MODELS_URL !== undefined) {
  const models = await fetch(MODELS_URL, { headers: { authorization: `Bearer ${CALLER_KEY}` } });
  const body = await models.json();
  console.log(`${MODELS_URL}: ${models.status}`, body.data?.map(({ id }) => id) ?? body);
  if (!models.ok || body.data.length === 0) process.exit(1);
}
