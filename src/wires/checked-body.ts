/**
 * A request body read and checked, with faults that name the field and never quote the prompt. Knows no wire format.
 */

import "../json/zod-messages.ts";
import type * as z from "zod/mini";
import { GatewayError } from "../errors.ts";
import { isRecord, type JsonRecord } from "../json/fields.ts";
import { ExactNumber, parseJson } from "../json/exact.ts";
import { parseWithinBounds } from "../bytes/json-bounds.ts";

/** The body as a JSON object; throws `invalid_request` that says where it breaks. */
export function parseObject(bodyText: string): JsonRecord {
  let body: unknown;
  try {
    body = parseWithinBounds(bodyText, parseJson);
  } catch (fault) {
    if (fault instanceof GatewayError) throw fault;
    throw new GatewayError("invalid_request", describeSyntaxError(bodyText, fault), { cause: fault });
  }
  if (isRecord(body)) return withPlainSettings(body);
  throw new GatewayError("invalid_request", "The request body must be a JSON object.");
}

/** Settings are numbers to be checked, so at the top and in groups of settings (Gemini's) they are what a double holds. */
function withPlainSettings(body: JsonRecord): JsonRecord {
  const isPlain = Object.values(body).every(
    (value) => !(value instanceof ExactNumber) && !(isRecord(value) && hasExact(value)),
  );
  if (isPlain) return body;
  const plain = Object.entries(body).map(([name, value]) => [
    name,
    isRecord(value) ? Object.fromEntries(Object.entries(value).map(toPlain)) : toPlain([name, value])[1],
  ]);
  return Object.fromEntries(plain);
}

function hasExact(group: JsonRecord): boolean {
  return Object.values(group).some((value) => value instanceof ExactNumber);
}

function toPlain([name, value]: readonly [string, unknown]): readonly [string, unknown] {
  return [name, value instanceof ExactNumber ? Number(value.digits) : value];
}

/** The engine's own message quotes the body, which is a prompt: only the position is taken from it. */
function describeSyntaxError(bodyText: string, fault: unknown): string {
  if (bodyText.trim() === "") return "The request body is empty; it must be a JSON object.";
  const position = fault instanceof Error ? /position (\d+)/.exec(fault.message)?.[1] : undefined;
  const where = position === undefined ? "" : `: it breaks at character ${position}`;
  return `The request body is not valid JSON${where}.`;
}

/** The fields that the schema names; throws `invalid_request` that names the first one at fault. */
export function checkFields<T extends z.ZodMiniType>(schema: T, body: JsonRecord): z.infer<T> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const param = (issue?.path ?? []).map(formatStep).join("").replace(/^\./, "");
  const isMissing = issue?.path.length === 1 && body[param] === undefined;
  const fault = isMissing ? "it is required" : (issue?.message ?? "is not valid");
  return refuse(param, fault);
}

function formatStep(step: PropertyKey): string {
  return typeof step === "number" ? `[${step}]` : `.${String(step)}`;
}

/** Throws `invalid_request` about this field. */
export function refuse(param: string, fault: string): never {
  throw new GatewayError("invalid_request", `Invalid \`${param}\`: ${fault}.`, { param });
}

/** A list of objects with a `role`, looked at no deeper: contents are long, and theirs is the upstream's word. */
export function checkMessages(messages: unknown): void {
  if (messages === undefined) refuse("messages", "it is required");
  if (!Array.isArray(messages)) refuse("messages", "expected an array of messages");
  if (messages.length === 0) refuse("messages", "expected at least one message");
  for (let at = 0; at < messages.length; at += 1) {
    const message: unknown = messages[at];
    if (!isRecord(message)) refuse(`messages[${at}]`, "expected an object");
    const role = message["role"];
    if (typeof role !== "string" || role === "") refuse(`messages[${at}].role`, "expected a role");
  }
}
