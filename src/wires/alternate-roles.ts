/**
 * Messages as turns that alternate, for wires that take no two of one role in a row. Pure; knows no wire format.
 */

import type { Message, Part } from "../schema/conversation.ts";

export interface Turn<Block> {
  readonly role: Message["role"];
  readonly content: readonly Block[];
}

/**
 * Neighbours of one role become one turn, turns without content are left out. Results of tools come first in theirs,
 * where the wires want them.
 */
export function alternate<Block>(
  messages: readonly Message[],
  writePart: (part: Part) => readonly Block[],
): readonly Turn<Block>[] {
  const turns: { readonly role: Message["role"]; readonly parts: Part[] }[] = [];
  for (const { role, parts } of messages) {
    const last = turns.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else turns.push({ role, parts: [...parts] });
  }
  const written = turns.map(({ role, parts }) => ({ role, content: resultsFirst(parts).flatMap(writePart) }));
  return mergeAroundEmpty(written);
}

function resultsFirst(parts: readonly Part[]): readonly Part[] {
  const isResult = ({ type }: Part): boolean => type === "tool_result";
  if (!parts.some(isResult)) return parts;
  return [...parts.filter(isResult), ...parts.filter((part) => !isResult(part))];
}

/** A turn that turned out empty leaves two neighbours of one role behind. */
function mergeAroundEmpty<Block>(turns: readonly Turn<Block>[]): readonly Turn<Block>[] {
  const merged: { readonly role: Message["role"]; content: readonly Block[] }[] = [];
  for (const { role, content } of turns) {
    if (content.length === 0) continue;
    const last = merged.at(-1);
    if (last?.role === role) last.content = [...last.content, ...content];
    else merged.push({ role, content });
  }
  return merged;
}
