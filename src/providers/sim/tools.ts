/** When the simulated model calls tools, which, and with what arguments. */

import type { ToolCall } from "../../schema/chat.ts";
import { listOf, recordOf, textOf, type JsonRecord } from "../../json/fields.ts";
import type { SimRequest } from "./request.ts";
import { sampleOf } from "./schema-sample.ts";
import { fingerprint } from "./text.ts";

interface SimTool {
  readonly name: string;
  readonly schema: unknown;
}

/**
 * The calls of an answer, none where it is text. `tool_choice` forces them, else the prompt asks for them by naming a
 * tool, or by the word "tool" (then the first). A prompt that names several gets them all, unless
 * `parallel_tool_calls` is false. After a tool's result the model always speaks.
 */
export function callTools(request: SimRequest): readonly ToolCall[] {
  const { wire, userText, toolResult } = request;
  const tools = listOf(wire["tools"]).flatMap((tool) => readTool(recordOf(tool)));
  if (toolResult !== undefined || wire["tool_choice"] === "none") return [];
  const chosen = chooseTools(tools, wire["tool_choice"], userText);
  const called = wire["parallel_tool_calls"] === false ? chosen.slice(0, 1) : chosen;
  return called.map(({ name, schema }, index) => ({
    id: `call_sim${fingerprint(`${name} ${index} ${userText}`)}`,
    name,
    argumentsJson: JSON.stringify(sampleOf(schema ?? { type: "object" })),
  }));
}

function readTool(tool: JsonRecord): readonly SimTool[] {
  const { name, parameters } = recordOf(tool["function"]);
  const known = textOf(name);
  return known === undefined ? [] : [{ name: known, schema: parameters }];
}

function chooseTools(tools: readonly SimTool[], choice: unknown, userText: string): readonly SimTool[] {
  const forced = recordOf(recordOf(choice)["function"])["name"];
  if (forced !== undefined) return tools.filter(({ name }) => name === forced);
  const said = userText.toLowerCase();
  const named = tools.filter(({ name }) => said.includes(name.toLowerCase()));
  if (named.length > 0) return named;
  return choice === "required" || /\btools?\b/.test(said) ? tools.slice(0, 1) : [];
}
