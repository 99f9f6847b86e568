// What the tests of routing, cache and sharing have in common: chat requests over HTTP, their traces, and short ways to say what
// of a trace matters.
import type { FlatSpan } from "../checkers/otlp-spans.ts";
import type { GatewayStack } from "../servers/gateway-stack.ts";

export interface Ask {
  readonly model: string;
  readonly prompt?: string;
  readonly stream?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further fields of the body. */
  readonly body?: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Text of the answer, whole or put together from its chunks. */
  readonly content: string;
  /** The error's code, wherever the answer says it. */
  readonly error: string | undefined;
  readonly traceId: string;
}

export function post(url: string, key: string, ask: Ask): Promise<Response> {
  const { model, prompt = "Hello?", stream = false, headers = {}, body = {}, signal } = ask;
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, stream, messages: [{ role: "user", content: prompt }], ...body }),
    ...(signal && { signal }),
  });
}

export async function chat(stack: GatewayStack, key: string, ask: Ask): Promise<Answer> {
  const response = await post(stack.gateway.url, key, ask);
  return read(response, await response.text());
}

export function read(response: Response, text: string): Answer {
  const events = text.startsWith("data: ") ? eventsOf(text) : [parse(text)];
  const code = events.map((event) => event.error?.code).find((found) => found !== undefined);
  return {
    status: response.status,
    headers: response.headers,
    text,
    content: events
      .map(({ choices: [choice] = [] }) => choice?.message?.content ?? choice?.delta?.content ?? "")
      .join(""),
    error: code,
    traceId: response.headers.get("x-trace-id") ?? "",
  };
}

interface Wire {
  readonly error?: { readonly code?: string };
  readonly choices?: readonly {
    readonly message?: { readonly content?: string };
    readonly delta?: { readonly content?: string };
  }[];
}

function eventsOf(text: string): readonly Wire[] {
  return text
    .split("\n\n")
    .filter((event) => event.startsWith("data: ") && event !== "data: [DONE]")
    .map((event) => parse(event.slice("data: ".length)));
}

function parse(text: string): Wire {
  try {
    // A chat completion, a chunk of one, or an error: whatever else it is has none of these members.
    return JSON.parse(text) as Wire;
  } catch {
    return {};
  }
}

export async function spansOf(
  stack: GatewayStack,
  { traceId }: Pick<Answer, "traceId">,
): Promise<readonly FlatSpan[]> {
  return stack.otlp.waitForTrace(traceId);
}

export function rootOf(spans: readonly FlatSpan[]): FlatSpan {
  const root = spans.find(({ parentSpanId }) => parentSpanId === undefined);
  if (root === undefined) throw new Error("the trace has no root");
  return root;
}

export function spanOf(spans: readonly FlatSpan[], name: string): FlatSpan {
  const span = spans.find((candidate) => candidate.name === name);
  if (span === undefined)
    throw new Error(`no span ${name} in ${spans.map((other) => other.name).join(", ")}`);
  return span;
}

/** `number reason outcome left-for` of each upstream call, in order. */
export function attemptsOf(spans: readonly FlatSpan[]): readonly string[] {
  return spans
    .filter(({ attributes }) => attributes["gateway.attempt.number"] !== undefined)
    .toSorted(
      (a, b) =>
        Number(a.attributes["gateway.attempt.number"]) - Number(b.attributes["gateway.attempt.number"]),
    )
    .map(({ attributes }) =>
      [
        attributes["gateway.attempt.target"],
        attributes["gateway.attempt.reason"],
        attributes["gateway.attempt.outcome"],
        attributes["gateway.attempt.left_for"],
      ]
        .filter((part) => part !== undefined)
        .join(" "),
    );
}

export function linksOf(span: FlatSpan, type: string): readonly string[] {
  return span.links
    .filter(({ attributes }) => attributes["gateway.link.type"] === type)
    .map(({ traceId }) => traceId);
}
