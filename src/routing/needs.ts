/** The capabilities that a request needs of its model. Pure; only routes with conditions on them read it. */

import type { Conversation, Part } from "../schema/conversation.ts";
import type { Need } from "../tenants/records/route-conditions.ts";

export function needsOf(conversation: Conversation): ReadonlySet<Need> {
  const needs = new Set<Need>();
  if (conversation.tools.length > 0) needs.add("tools");
  if (conversation.output?.type === "json_schema") needs.add("json_schema");
  const { reasoning } = conversation;
  if (reasoning !== undefined && reasoning.effort !== "none" && reasoning.budgetTokens !== 0)
    needs.add("reasoning");
  for (const { parts } of conversation.messages) addParts(parts, needs);
  return needs;
}

function addParts(parts: readonly Part[], needs: Set<Need>): void {
  for (const part of parts) {
    if (part.type === "image") needs.add("images");
    else if (part.type === "document") needs.add("documents");
    else if (part.type === "audio") needs.add("audio");
    else if (part.type === "tool_result") addParts(part.parts, needs);
  }
}
