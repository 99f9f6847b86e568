/** The wire formats that clients speak: the only place that lists them. To add one, see src/wires/README.md. */

import { anthropicMessages } from "./anthropic/client-wire.ts";
import type { AnyClientWire } from "./client-wire.ts";
import { geminiGenerateContent } from "./gemini/client-wire.ts";
import { openAiChat } from "./openai-chat/client-wire.ts";
import { openAiEmbeddings } from "./openai-embeddings/client-wire.ts";
import { openAiResponses } from "./openai-responses/client-wire.ts";

export const CLIENT_WIRES: readonly AnyClientWire[] = [
  openAiChat,
  openAiResponses,
  openAiEmbeddings,
  anthropicMessages,
  geminiGenerateContent,
];

/** Where neither path nor headers tell another: OpenAI's form is the one that most clients read. */
const DEFAULT_WIRE = openAiChat;

/** Paths that the SDKs of several vendors use. */
const SHARED_PATHS = /^\/(v1\/models|proxy)(\/|$)/;

/** Undefined for a name that no client wire has. */
export function clientWireNamed(name: string): AnyClientWire | undefined {
  return CLIENT_WIRES.find((clientWire) => clientWire.name === name);
}

/** The headers, besides `authorization`, in which the vendors' SDKs send the gateway key. */
export const KEY_HEADERS: readonly string[] = CLIENT_WIRES.flatMap(({ keyHeader = [] }) => keyHeader);

/**
 * The wire of a request, by path and headers alone: a request that is refused before it is read also gets the error body
 * that its SDK understands. `path` as the client sent it, without its query.
 */
export function clientWireFor(path: string, headers: Headers): AnyClientWire {
  const own = CLIENT_WIRES.find(({ paths }) => paths?.test(path) === true);
  if (own !== undefined || !SHARED_PATHS.test(path)) return own ?? DEFAULT_WIRE;
  const isOf = ({ sdkHeader }: AnyClientWire): boolean => sdkHeader !== undefined && headers.has(sdkHeader);
  return CLIENT_WIRES.find(isOf) ?? DEFAULT_WIRE;
}
