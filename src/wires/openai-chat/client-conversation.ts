/**
 * The meaning of a chat request, for an upstream of another wire. Fields that no Conversation can say go to
 * `drop`, unless they say what is so anyway.
 */

import type { ChatRequest } from "../../schema/chat.ts";
import type { Conversation, DropField } from "../../schema/conversation.ts";
import { isPresent, listOf, textOf } from "../../json/fields.ts";
import { readMessages } from "./client-messages.ts";
import { readChatSettings, SETTINGS } from "./client-settings.ts";

/** The route's, or read elsewhere here. Of `stream_options` the encoder reads what concerns it. */
const READ: ReadonlySet<string> = new Set([
  "model",
  "stream",
  "stream_options",
  "messages",
  "safety_identifier",
]);

/** Values that ask for nothing special. */
const NEUTRAL: Readonly<Record<string, (value: unknown) => boolean>> = {
  store: (value) => value === false,
  service_tier: (value) => value === "auto" || value === "default",
  modalities: (value) => listOf(value).every((modality) => modality === "text"),
  logit_bias: (value) => typeof value === "object" && Object.keys(value ?? {}).length === 0,
  metadata: (value) => typeof value === "object" && Object.keys(value ?? {}).length === 0,
  verbosity: (value) => value === "medium",
};

export function readChatConversation({ body }: Pick<ChatRequest, "body">, drop: DropField): Conversation {
  for (const [field, value] of Object.entries(body)) {
    if (READ.has(field) || SETTINGS.has(field) || !isPresent(value)) continue;
    if (!Object.hasOwn(NEUTRAL, field) || NEUTRAL[field]?.(value) !== true) drop(field);
  }
  const endUser = textOf(body["safety_identifier"]);
  return {
    tools: [],
    ...(endUser !== undefined && { endUser }),
    ...readMessages(body["messages"], drop),
    ...readChatSettings(body, drop),
  };
}
