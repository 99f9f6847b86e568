/**
 * A target's `params`, which are in the chat wire's names, put over what the client asked for: for an upstream of
 * another wire than the client's. Pure.
 */

import type { Conversation } from "../schema/conversation.ts";
import type { JsonRecord } from "../json/fields.ts";
import { readChatSettings, SETTINGS, withSettings } from "./openai-chat/client-settings.ts";

export interface WithParams {
  readonly conversation: Conversation;
  /** What a Conversation can't say: the upstream's wire may know it. */
  readonly rest: JsonRecord;
}

export function withTargetParams(conversation: Conversation, params: JsonRecord = {}): WithParams {
  const rest: Record<string, unknown> = {};
  const said: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(params)) {
    if (SETTINGS.has(name)) said[name] = value;
    else rest[name] = value;
  }
  // What of a known field can't be said stays with the rest, under its own name.
  const keep = (field: string): void => {
    const [name = field] = field.split(/[.[]/, 1);
    rest[name] = params[name];
  };
  return { conversation: withSettings(conversation, readChatSettings(said, keep)), rest };
}
