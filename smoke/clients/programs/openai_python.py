"""Cases of the OpenAI client for Python, one JSON line each."""

import asyncio
import inspect
import json
import os
import sys

import openai

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "settings"))
from openai_python import async_azure_client, async_client, azure_client, client  # noqa: E402

MODELS = json.loads(os.environ["MODELS"])
PROMPT = os.environ["PROMPT"]
SLOW_KEY = os.environ["SLOW_KEY"]
ASKED = [{"role": "user", "content": PROMPT}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}

CLIENTS = {
    "OpenAI": client,
    "AzureOpenAI": azure_client,
    "AsyncOpenAI": async_client,
    "AsyncAzureOpenAI": async_azure_client,
}


async def settled(value):
    """The value of a call of either kind of client."""
    return await value if inspect.isawaitable(value) else value


async def items(stream):
    """Everything a stream of either kind of client gives."""
    if hasattr(stream, "__aiter__"):
        return [item async for item in stream]
    return list(stream)


async def chat(api, model):
    answer = await settled(api.chat.completions.create(model=model, messages=ASKED))
    choice = answer.choices[0]
    return {
        "text": choice.message.content,
        "finish": choice.finish_reason,
        "tokens": answer.usage.total_tokens,
    }


async def chat_stream(api, model):
    stream = await settled(
        api.chat.completions.create(
            model=model, messages=ASKED, stream=True, stream_options={"include_usage": True}
        )
    )
    chunks = await items(stream)
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    return {
        "text": "".join(choice.delta.content or "" for choice in choices),
        "finish": choices[-1].finish_reason,
        "tokens": chunks[-1].usage.total_tokens,
    }


async def tool_turn(api, model):
    first = await settled(
        api.chat.completions.create(
            model=model, messages=ASKED, tools=[TOOL], tool_choice="required"
        )
    )
    message = first.choices[0].message
    call = message.tool_calls[0]
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
    second = await settled(
        api.chat.completions.create(
            model=model, messages=[*ASKED, message.to_dict(), result], tools=[TOOL]
        )
    )
    return {
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "text": second.choices[0].message.content,
    }


async def responses(api, model):
    answer = await settled(api.responses.create(model=model, input=PROMPT))
    return {"text": answer.output_text, "status": answer.status, "tokens": answer.usage.total_tokens}


async def responses_stream(api, model):
    events = await items(await settled(api.responses.create(model=model, input=PROMPT, stream=True)))
    return {
        "text": "".join(e.delta for e in events if e.type == "response.output_text.delta"),
        "first": events[0].type,
        "last": events[-1].type,
    }


async def stored(api):
    first = await settled(api.responses.create(model=MODELS["codex"], input=PROMPT))
    second = await settled(
        api.responses.create(
            model=MODELS["codex"], input="And now?", previous_response_id=first.id
        )
    )
    again = await settled(api.responses.retrieve(first.id))
    await settled(api.responses.delete(first.id))
    return {"continued": second.output_text, "same": again.output_text == first.output_text}


async def embeddings(api):
    body = {"model": MODELS["embeddings"], "input": ["one", "two", "three"]}
    packed = await settled(api.embeddings.create(**body))
    plain = await settled(api.embeddings.create(**body, encoding_format="float"))
    pairs = zip(packed.data, plain.data, strict=True)
    apart = max(abs(a - b) for x, y in pairs for a, b in zip(x.embedding, y.embedding, strict=True))
    return {"lengths": [len(row.embedding) for row in packed.data], "near": apart < 1e-6}


async def model_ids(api):
    page = await settled(api.models.list())
    return sorted(model.id for model in page.data)


async def wrong_key(api):
    stranger = api.with_options(api_key="sk-nobody-knows-this-key", max_retries=0)
    return await settled(stranger.chat.completions.create(model=MODELS["plain"], messages=ASKED))


async def unknown_model(api):
    return await settled(
        api.chat.completions.create(model="no-such-model", messages=ASKED)
    )


async def over_limit(api):
    slow = api.with_options(api_key=SLOW_KEY, max_retries=0)
    # The minute may turn between two calls, but not twice among three.
    for _ in range(3):
        await settled(slow.chat.completions.create(model=MODELS["plain"], messages=ASKED))


async def outcome_of(run):
    try:
        return {"value": await run}
    except openai.APIStatusError as error:
        return {
            "error": {
                "type": type(error).__name__,
                "message": error.message,
                "status": error.status_code,
                "retryAfter": error.response.headers.get("retry-after"),
            }
        }
    except Exception as error:  # every other failure is the test's to show
        return {"error": {"type": type(error).__name__, "message": str(error)}}


def cases():
    for kind, api in CLIENTS.items():
        for model in MODELS["language"]:
            for run in (chat, chat_stream, tool_turn, responses, responses_stream):
                yield f"{run.__name__}, {kind}, {model}", run(api, model)
        for run in (stored, embeddings, model_ids, wrong_key, unknown_model):
            yield f"{run.__name__}, {kind}", run(api)
    yield "over_limit", over_limit(client)


async def main():
    for name, run in cases():
        print(json.dumps({"case": name, **await outcome_of(run)}, separators=(",", ":")), flush=True)


asyncio.run(main())
