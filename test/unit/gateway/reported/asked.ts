// What an upstream of a kind is asked by a client of a wire, without a gateway around it, and how it is read.
import type { ChatResponse } from "../../../../src/schema/chat.ts";
import { openExchange, type ChatExchange } from "../../../../src/pipeline/attempts/exchange.ts";
import { readRequestOptions } from "../../../../src/pipeline/request-options.ts";
import { providerOf } from "../../../../src/providers/registry.ts";
import { wireNamed } from "../../../support/builders/wire-named.ts";

const MODELS: Readonly<Record<string, string>> = {
  anthropic: "claude-sonnet-4-5",
  bedrock: "anthropic.claude-sonnet-4-5-20250929-v1:0",
  gemini: "gemini-2.5-pro",
  cohere: "command-a-03-2025",
  mistral: "mistral-large-latest",
  openai: "gpt-5",
  "openai-compatible": "m",
};

/** One kind of each upstream wire, and of those that differ from it. */
export const UPSTREAMS: readonly string[] = Object.keys(MODELS);

interface Setting {
  readonly model?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly options?: Readonly<Record<string, string | number | boolean>>;
  readonly params?: Readonly<Record<string, unknown>>;
}

export interface Asked {
  readonly body: string;
  readonly json: ReturnType<typeof JSON.parse>;
  readonly headers: Readonly<Record<string, string>>;
  readonly dropped: readonly string[];
  readonly exchange: ChatExchange;
  response(body: unknown): ChatResponse;
}

/** `body` as JSON text or as an object. Throws what the request is refused with. */
export function askedOf(client: string, body: string | object, kind: string, setting: Setting = {}): Asked {
  const clientWire = wireNamed(client);
  const bodyText = typeof body === "string" ? body : JSON.stringify({ model: "a/m", ...body });
  const provider = providerOf(kind);
  const account = {
    name: "a",
    kind,
    baseUrl: provider.defaultBaseUrl ?? "https://a.example/v1",
    apiKey: "key",
    headers: {},
    options: { region: "us-east-1", ...setting.options },
    propagateTrace: false,
  };
  const model = setting.model ?? MODELS[kind] ?? "m";
  const chat = clientWire.parseRequest(bodyText, { model: "a/m" });
  const options = readRequestOptions(new Headers(setting.headers));
  const target = { account, model, ...(setting.params !== undefined && { params: setting.params }) };
  const exchange = openExchange({ chat, clientWire, options }, provider, target);
  if (exchange.kind !== "chat") throw new Error("not a chat wire");
  const sent = exchange.request.body ?? "";
  return {
    body: sent,
    json: JSON.parse(sent),
    headers: exchange.request.headers,
    dropped: exchange.dropped,
    exchange,
    response: (read) => exchange.upstreamWire.toResponse(read),
  };
}
