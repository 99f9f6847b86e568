/**
 * Tools that take free text (OpenAI's `custom` tools, Codex's `apply_patch`): told to other wires as a function of one string, and
 * their calls told back in the client's form. Pure. https://platform.openai.com/docs/guides/function-calling (seen 2026-11)
 */

import { parseJson, toJson } from "../json/exact.ts";
import { isPresent, isRecord, listOf, recordOf, textOf, type JsonRecord } from "../json/fields.ts";
import type { Tool } from "../schema/conversation.ts";

const INPUT = "input";
const PARAMETERS = {
  type: "object",
  properties: { [INPUT]: { type: "string" } },
  required: [INPUT],
  additionalProperties: false,
};

/** The grammar that the input must follow can only be told in words. */
export function freeformTool({ name, description, format }: JsonRecord): Tool {
  const { type, syntax, definition } = recordOf(format);
  const { syntax: nested, definition: rules } = recordOf(recordOf(format)["grammar"]);
  const grammar = textOf(definition ?? rules);
  const said = [
    textOf(description),
    `The argument \`${INPUT}\` is free text, not JSON.`,
    ...(type === "grammar" && grammar !== undefined
      ? [`It must follow this ${textOf(syntax ?? nested) ?? ""} grammar:\n${grammar}`]
      : []),
  ];
  return {
    name: textOf(name) ?? "",
    description: said.filter(isPresent).join("\n\n"),
    parameters: PARAMETERS,
  };
}

/** Names of a request's freeform tools, in the chat wire's form or in that of Responses. */
export function freeformNames(tools: unknown): ReadonlySet<string> {
  const names = listOf(tools).flatMap((entry) => {
    const tool = recordOf(entry);
    if (tool["type"] !== "custom") return [];
    return textOf(tool["name"]) ?? textOf(recordOf(tool["custom"])["name"]) ?? [];
  });
  return new Set(names);
}

/** Free text as the function's arguments. */
export function toArguments(input: unknown): string {
  return toJson({ [INPUT]: textOf(input) ?? "" });
}

/** The free text of a call; arguments of another form are taken as the text that they are. */
export function toInput(argumentsJson: string): string {
  try {
    const given = parseJson(argumentsJson);
    const input = isRecord(given) ? given[INPUT] : undefined;
    return typeof input === "string" ? input : argumentsJson;
  } catch {
    return argumentsJson;
  }
}
