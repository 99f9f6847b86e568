/**
 * Schemas of tools' arguments, as every vendor takes them: an object, which some clients leave unsaid. Pure.
 * https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (seen 2026-11)
 */

import type { Message, Tool } from "../schema/conversation.ts";
import { isRecord, type JsonRecord } from "../json/fields.ts";

/** The schema with a `type`; of a tool without one, which takes nothing, the empty object's. */
export function objectSchema(parameters: unknown): JsonRecord {
  if (!isRecord(parameters)) return { type: "object", properties: {} };
  return parameters["type"] === undefined ? { type: "object", ...parameters } : parameters;
}

/**
 * The tools that a history names: for a request that defines none, as agents send it to have a conversation summed up,
 * where the vendor refuses calls of undefined tools.
 */
export function toolsOfHistory(messages: readonly Message[]): readonly Tool[] {
  const names = new Set<string>();
  for (const { parts } of messages) {
    for (const part of parts) if (part.type === "tool_call") names.add(part.name);
  }
  return Array.from(names, (name) => ({ name, parameters: { type: "object" } }));
}
