"""The official Python clients against a running gateway: run.ts starts it and sets HEADGATE_URL and HEADGATE_KEY."""

import asyncio
import os
import sys
import traceback
from importlib.metadata import version

import agents
import anthropic
import instructor
import openai
import pydantic_ai
from google import genai
from google.genai import errors as genai_errors
from google.genai import types
from pydantic import BaseModel
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider

PACKAGES = ["openai", "anthropic", "google-genai", "pydantic-ai-slim", "instructor", "openai-agents"]
if "--versions" in sys.argv:
    print("  ".join(f"{name} {version(name)}" for name in PACKAGES))
    sys.exit(0)

URL = os.environ["HEADGATE_URL"]
KEY = os.environ["HEADGATE_KEY"]
ECHO = "sim/echo"
MODEL = "sim/any"
SAID = "hello there"


class Skipped(Exception):
    """A fault between two packages, before any request."""


class City(BaseModel):
    name: str
    people: int


def is_same(got, expected):
    assert got == expected, f"{got!r} is not {expected!r}"


def raises(kind, call):
    try:
        call()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


def chat():
    return openai.OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)


USER = [{"role": "user", "content": SAID}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "The weather of a city.", "parameters": PARAMETERS}


@check
def openai_chat():
    answer = chat().chat.completions.create(model=ECHO, messages=USER)
    is_same(answer.choices[0].message.content, SAID)
    assert answer.usage.total_tokens > 0


@check
def openai_chat_stream():
    chunks = list(chat().chat.completions.create(model=ECHO, messages=USER, stream=True))
    is_same("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), SAID)


@check
def openai_tools():
    answer = chat().chat.completions.create(
        model=MODEL,
        messages=USER,
        tools=[{"type": "function", "function": FUNCTION}],
        tool_choice="required",
    )
    is_same(answer.choices[0].message.tool_calls[0].function.name, "weather")


@check
def openai_parse():
    answer = chat().chat.completions.parse(model=MODEL, messages=USER, response_format=City)
    assert isinstance(answer.choices[0].message.parsed, City)


@check
def openai_responses():
    is_same(chat().responses.create(model=ECHO, input=SAID).output_text, SAID)


@check
def openai_responses_stream():
    with chat().responses.stream(model=ECHO, input=SAID) as stream:
        is_same(stream.get_final_response().output_text, SAID)


@check
def openai_embeddings():
    assert len(chat().embeddings.create(model=MODEL, input=[SAID]).data[0].embedding) > 0


@check
def openai_errors():
    raises(
        openai.AuthenticationError,
        lambda: openai.OpenAI(base_url=f"{URL}/v1", api_key="hg_wrong").models.list(),
    )
    raises(
        openai.RateLimitError,
        lambda: chat().chat.completions.create(model="sim/rate-limited", messages=USER),
    )
    raises(openai.NotFoundError, lambda: chat().chat.completions.create(model="none/at-all", messages=USER))


def messages():
    return anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)


@check
def anthropic_messages():
    answer = messages().messages.create(model=ECHO, max_tokens=100, messages=USER)
    is_same(answer.content[0].text, SAID)


@check
def anthropic_stream():
    with messages().messages.stream(model=ECHO, max_tokens=100, messages=USER) as stream:
        is_same(stream.get_final_text(), SAID)


@check
def anthropic_tools():
    tool = {"name": "weather", "description": "The weather of a city.", "input_schema": PARAMETERS}
    with messages().messages.stream(
        model=MODEL, max_tokens=100, messages=USER, tools=[tool], tool_choice={"type": "any"}
    ) as stream:
        final = stream.get_final_message()
    is_same([block.name for block in final.content if block.type == "tool_use"], ["weather"])
    assert "city" in next(block for block in final.content if block.type == "tool_use").input


@check
def anthropic_count_tokens():
    assert messages().messages.count_tokens(model=ECHO, messages=USER).input_tokens > 0


@check
def anthropic_errors():
    raises(
        anthropic.RateLimitError,
        lambda: messages().messages.create(model="sim/rate-limited", max_tokens=9, messages=USER),
    )


# With the client's own version of the API, /v1 in 3.x. One for all: it closes its connections when it is collected.
GEMINI = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=URL))


def gemini():
    return GEMINI


@check
def google_generate():
    is_same(gemini().models.generate_content(model=ECHO, contents=SAID).text, SAID)


@check
def google_stream():
    chunks = gemini().models.generate_content_stream(model=ECHO, contents=SAID)
    is_same("".join(chunk.text or "" for chunk in chunks), SAID)


@check
def google_tools():
    declared = types.Tool(function_declarations=[types.FunctionDeclaration(**FUNCTION)])
    forced = types.ToolConfig(function_calling_config=types.FunctionCallingConfig(mode="ANY"))
    config = types.GenerateContentConfig(tools=[declared], tool_config=forced)
    answer = gemini().models.generate_content(model=MODEL, contents=SAID, config=config)
    is_same(answer.function_calls[0].name, "weather")


@check
def google_embeddings_and_tokens():
    assert len(gemini().models.embed_content(model=MODEL, contents=SAID).embeddings[0].values) > 0
    assert gemini().models.count_tokens(model=ECHO, contents=SAID).total_tokens > 0


@check
def google_errors():
    raises(
        genai_errors.ClientError,
        lambda: gemini().models.generate_content(model="none/at-all", contents=SAID),
    )


def run_pydantic_ai(model):
    async def run():
        agent = pydantic_ai.Agent(model)
        is_same((await agent.run(SAID)).output, SAID)
        async with agent.run_stream(SAID) as stream:
            is_same(await stream.get_output(), SAID)

    asyncio.run(run())


def pydantic_openai():
    return OpenAIProvider(base_url=f"{URL}/v1", api_key=KEY)


@check
def pydantic_ai_chat():
    run_pydantic_ai(OpenAIChatModel(ECHO, provider=pydantic_openai()))


@check
def pydantic_ai_responses():
    run_pydantic_ai(OpenAIResponsesModel(ECHO, provider=pydantic_openai()))


@check
def pydantic_ai_anthropic():
    try:
        run_pydantic_ai(AnthropicModel(ECHO, provider=AnthropicProvider(base_url=URL, api_key=KEY)))
    except TypeError as error:
        # pydantic-ai 2.38 with anthropic 2.14: a type of the SDK that it instantiates is a union there.
        raise Skipped(f"the packages don't fit each other ({error}); try 'anthropic<2'") from error


@check
def pydantic_ai_google():
    run_pydantic_ai(GoogleModel(ECHO, provider=GoogleProvider(client=gemini())))


@check
def pydantic_ai_output():
    agent = pydantic_ai.Agent(OpenAIChatModel(MODEL, provider=pydantic_openai()), output_type=City)
    assert isinstance(agent.run_sync(SAID).output, City)


@check
def instructor_tools():
    client = instructor.from_openai(chat(), mode=instructor.Mode.TOOLS)
    assert isinstance(client.chat.completions.create(model=MODEL, messages=USER, response_model=City), City)


@check
def instructor_json_schema():
    client = instructor.from_openai(chat(), mode=instructor.Mode.JSON_SCHEMA)
    assert isinstance(client.chat.completions.create(model=MODEL, messages=USER, response_model=City), City)


def agents_setup():
    agents.set_default_openai_client(openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY))
    agents.set_tracing_disabled(True)


@check
def openai_agents():
    agents_setup()
    is_same(agents.Runner.run_sync(agents.Agent(name="a", model=ECHO_AGENT), SAID).final_output, SAID)


@check
def openai_agents_tool_loop():
    agents_setup()
    called = []

    @agents.function_tool
    def weather(city: str) -> str:
        """The weather of a city."""
        called.append(city)
        return "sunny"

    agent = agents.Agent(name="a", model=ANY_AGENT, tools=[weather])
    assert agents.Runner.run_sync(agent, "Use the tool weather.").final_output
    is_same(len(called), 1)


# Agents reads a prefix of a model's name as one of its own providers, so it is given a model object.
def agent_model(name):
    client = openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY)
    return agents.OpenAIResponsesModel(model=name, openai_client=client)


ECHO_AGENT = agent_model(ECHO)
ANY_AGENT = agent_model(MODEL)

failed = 0
skipped = 0
for run in CHECKS:
    try:
        run()
        print(f"ok      {run.__name__}")
    except Skipped as reason:
        skipped += 1
        print(f"skipped {run.__name__}: {reason}")
    except Exception:
        failed += 1
        print(f"FAILED  {run.__name__}\n{traceback.format_exc()}")
print(f"{len(CHECKS) - failed - skipped} passed, {failed} failed, {skipped} skipped")
sys.exit(1 if failed else 0)
