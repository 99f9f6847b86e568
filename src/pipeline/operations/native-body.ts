/**
 * The body of a vendor's own call, read where its wire is known: for the model that a budget needs a price of, and so that a
 * chat stream reports its usage as it does on the gateway's own paths. Bodies of unknown paths pass unread.
 */

import { GatewayError } from "../../errors.ts";
import { editTopLevel } from "../../json/edit.ts";
import { isRecord, recordOf, textOf } from "../../json/fields.ts";
import type { ChatRequest } from "../../schema/chat.ts";
import { openAiChat } from "../../wires/openai-chat/client-wire.ts";
import { isCount } from "../../wires/read-upstream.ts";
import { clientWireNamed } from "../../wires/registry.ts";
import type { Payload } from "../../upstream/send.ts";
import { parseWithinBounds } from "../../bytes/json-bounds.ts";
import type { UpstreamWire } from "../../wires/upstream-wire.ts";

export interface NativeAsk {
  /** The name of the provider record. */
  readonly accountName: string;
  readonly method: string;
  /** Behind the base URL, as the client wrote it. */
  readonly path: string;
  readonly search: string;
  /** The client's body on its way; absent where the method has none. */
  readonly payload: Payload | undefined;
  /** The same as a text: for what must be signed, and for servers inside the Worker. */
  readText(): Promise<string>;
}

export interface NativeBody {
  /** What its tokens are estimated from; absent where the body is not read. */
  readonly content?: Pick<ChatRequest, "wire" | "body" | "params">;
  /** In place of the client's own body; absent where that passes unread. */
  readonly text?: string;
  /** Absent where it is not known. */
  readonly model?: string;
}

/** Which of a provider's wires a native path belongs to, and the model that the path names. */
export function nativeWireOf(
  wires: readonly UpstreamWire[],
  path: string,
): { readonly wire: UpstreamWire; readonly model?: string } | undefined {
  const native = `/${path.replace(/^\/+/, "")}`;
  for (const wire of wires) {
    const match = wire.paths?.exec(native);
    const model = match?.groups?.["model"];
    if (match) return { wire, ...(model !== undefined && { model: decodeURIComponent(model) }) };
  }
  return undefined;
}

export async function readNativeBody(wires: readonly UpstreamWire[], ask: NativeAsk): Promise<NativeBody> {
  const known = nativeWireOf(wires, ask.path);
  if (known === undefined || ask.payload === undefined)
    return known?.model === undefined ? {} : { model: known.model };
  const text = await ask.readText();
  const body = parse(text);
  const model = known.model ?? textOf(body?.["model"]);
  const isSilent = known.wire.clientWireName === "openai-chat" && body?.["stream"] === true;
  const options = recordOf(body?.["stream_options"]);
  const asked = isSilent && options["include_usage"] === undefined;
  return {
    text: asked
      ? editTopLevel(text, { set: { stream_options: JSON.stringify({ ...options, include_usage: true }) } })
      : text,
    ...(model !== undefined && { model }),
    ...(body !== undefined && { content: contentOf(known.wire, body) }),
  };
}

/** Estimated like a request on the gateway's own paths: by its text, its media, and the longest answer that it allows. */
function contentOf(
  { clientWireName }: UpstreamWire,
  body: Readonly<Record<string, unknown>>,
): NonNullable<NativeBody["content"]> {
  const wire = (clientWireName === undefined ? undefined : clientWireNamed(clientWireName)) ?? openAiChat;
  const maxOutputTokens = maxOutputOf(body);
  const choiceCount = countIn(body, ["n"]) ?? countIn(recordOf(body["generationConfig"]), ["candidateCount"]);
  return {
    wire,
    body,
    params: {
      ...(maxOutputTokens !== undefined && { maxOutputTokens }),
      ...(choiceCount !== undefined && { choiceCount }),
    },
  };
}

/** Under the names of all wires: where each vendor's documentation has them. */
function maxOutputOf(body: Readonly<Record<string, unknown>>): number | undefined {
  return (
    countIn(body, ["max_completion_tokens", "max_output_tokens", "max_tokens"]) ??
    countIn(recordOf(body["generationConfig"]), ["maxOutputTokens"]) ??
    countIn(recordOf(body["inferenceConfig"]), ["maxTokens"])
  );
}

function countIn(fields: Readonly<Record<string, unknown>>, names: readonly string[]): number | undefined {
  const found = names.map((name) => fields[name]).find(isCount);
  return found === 0 ? undefined : found;
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const body: unknown = parseWithinBounds(text, JSON.parse);
    return isRecord(body) ? body : undefined;
  } catch (thrown) {
    if (thrown instanceof GatewayError) throw thrown;
    return undefined;
  }
}
