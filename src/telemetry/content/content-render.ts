/**
 * Content as attributes of a finished trace, for one destination or the store: masked where `redacted`, cut to
 * what it accepts, always valid JSON. The only way content gets into an export. Pure.
 */

import type { AttributeValue } from "../trace/attributes.ts";
import type { ContentAttribute, ContentMode, SpanContent, TraceContent } from "./content.ts";
import { isSecretField, MASKED_SECRET, redactNumber, redactText } from "./redact.ts";
import type { FinishedTrace } from "../trace/trace.ts";

/** What one destination or the store accepts. */
export interface ContentForm {
  readonly mode: Exclude<ContentMode, "off">;
  /** Length of one attribute. */
  readonly maxChars: number;
}

/** Deeper than any tool's schema; keeps a hostile body from exhausting the stack. */
const MAX_DEPTH = 24;
/** Longest list; the newest messages are kept. */
const MAX_ITEMS = 256;
const MAX_VALUES = 20_000;
/** Texts are not cut shorter than this: then the oldest messages are dropped instead. */
const MIN_TEXT_CHARS = 64;
const CUT = "…";

/** The trace with content on its inference spans. */
export function withContent(trace: FinishedTrace, content: TraceContent, form: ContentForm): FinishedTrace {
  const spans = trace.spans.map((span) => {
    const read = content.get(span.spanId);
    if (read === undefined) return span;
    return { ...span, attributes: { ...span.attributes, ...renderContent(read(), form) } };
  });
  const root = spans[trace.spans.indexOf(trace.root)] ?? trace.root;
  return { ...trace, root, spans };
}

/** One JSON string per attribute; an empty list leaves no attribute. */
export function renderContent(
  { instructions, input, output, tools }: SpanContent,
  form: ContentForm,
): Readonly<Record<string, AttributeValue>> {
  const lists: Readonly<Record<ContentAttribute, readonly unknown[]>> = {
    "gen_ai.system_instructions": instructions,
    "gen_ai.input.messages": input,
    "gen_ai.output.messages": output,
    "gen_ai.tool.definitions": tools,
  };
  const rendered: Record<string, string> = {};
  for (const [name, list] of Object.entries(lists)) {
    const json = renderList(list, form);
    if (json !== undefined) rendered[name] = json;
  }
  return rendered;
}

/** Texts are cut first, all alike; then the oldest items are dropped. Undefined when nothing is left. */
function renderList(list: readonly unknown[], { mode, maxChars }: ContentForm): string | undefined {
  let items = keepValues(list.slice(-MAX_ITEMS));
  if (mode === "redacted") {
    const leaves = masking(items, maxChars);
    items = items.map((item) => rebuild(item, leaves, 0));
  }
  for (let textChars = maxChars; textChars >= MIN_TEXT_CHARS; textChars = Math.floor(textChars / 2)) {
    items = items.map((item) => rebuild(item, cutting(textChars), 0));
    const json = JSON.stringify(items);
    if (json.length <= maxChars) return items.length === 0 ? undefined : json;
  }
  return keepNewest(items, maxChars);
}

/** As many values of the newest items as could be exported, whatever the depth; a body of ten megabytes holds millions. */
function keepValues(items: readonly unknown[]): readonly unknown[] {
  let left = MAX_VALUES;
  const keep = (value: unknown, depth: number): unknown => {
    if (left-- <= 0) return CUT;
    if (typeof value !== "object" || value === null) return value;
    if (depth === MAX_DEPTH) return CUT;
    if (Array.isArray(value)) {
      const kept: unknown[] = [];
      for (const item of value.slice(0, MAX_ITEMS)) {
        kept.push(keep(item, depth + 1));
        if (left <= 0) break;
      }
      return kept;
    }
    const fields = Object.entries(value).slice(0, MAX_ITEMS);
    return Object.fromEntries(fields.map(([name, field]) => [name, keep(field, depth + 1)]));
  };
  return items
    .toReversed()
    .map((item) => keep(item, 0))
    .toReversed();
}

function keepNewest(items: readonly unknown[], maxChars: number): string | undefined {
  const kept: string[] = [];
  let chars = "[]".length;
  for (const item of items.toReversed()) {
    const json = JSON.stringify(item);
    chars += json.length + 1;
    if (chars > maxChars) break;
    kept.unshift(json);
  }
  return kept.length === 0 ? undefined : `[${kept.join(",")}]`;
}

/** How the leaves of a value are changed. */
interface Leaves {
  readonly text: (text: string) => string;
  readonly number: (value: number) => number | string;
  /** Replaces the whole value of a field whose name says that it is a secret. */
  readonly field: (name: string, value: unknown) => string | undefined;
}

const PLAIN: Leaves = { text: (text) => text, number: (value) => value, field: () => undefined };

/**
 * Masks texts. They are cut first, so that the time masking takes is bounded by what can be exported and not by what a
 * client sends; half a card number is not found, so OVERLAP_CHARS more are kept for masking and then removed.
 */
function masking(list: readonly unknown[], maxChars: number): Leaves {
  const textChars = fittingTextChars(list, WORK_FACTOR * maxChars);
  return {
    text: (text) => redactStart(text, textChars),
    number: redactNumber,
    field: (name, value) =>
      isSecretField(name) && (typeof value === "string" || typeof value === "number")
        ? MASKED_SECRET
        : undefined,
  };
}

/** Masking mostly shortens a text, so more than the exported length is masked. */
const WORK_FACTOR = 2;
/** More than any card, address or key needs to be found; a longer key is found by its beginning. */
const OVERLAP_CHARS = 512;

function redactStart(text: string, maxChars: number): string {
  if (text.length <= maxChars + OVERLAP_CHARS) return redactText(text);
  const start = text.slice(0, maxChars + OVERLAP_CHARS).toWellFormed();
  return redactText(start).slice(0, -OVERLAP_CHARS).toWellFormed() + CUT;
}

/** The longest text length, a power of two below `totalChars`, for which all texts together have at most `totalChars`. */
function fittingTextChars(list: readonly unknown[], totalChars: number): number {
  const lengths: number[] = [];
  collectLengths(list, lengths, 0);
  let textChars = totalChars;
  const sumOf = (limit: number): number => lengths.reduce((sum, length) => sum + Math.min(length, limit), 0);
  while (textChars > MIN_TEXT_CHARS && sumOf(textChars) > totalChars) textChars = Math.floor(textChars / 2);
  return textChars;
}

function collectLengths(value: unknown, lengths: number[], depth: number): void {
  if (typeof value === "string") lengths.push(value.length);
  if (typeof value !== "object" || value === null || depth === MAX_DEPTH) return;
  for (const [name, part] of Object.entries(value).slice(0, MAX_ITEMS)) {
    if (!Array.isArray(value)) lengths.push(name.length);
    collectLengths(part, lengths, depth + 1);
  }
}

function cutting(maxChars: number): Leaves {
  return { ...PLAIN, text: (text) => (text.length <= maxChars ? text : cut(text, maxChars)) };
}

/** Without splitting a character, so that the receiver's decoder accepts it. */
function cut(text: string, maxChars: number): string {
  return text.slice(0, maxChars - 1).toWellFormed() + CUT;
}

function rebuild(value: unknown, leaves: Leaves, depth: number): unknown {
  if (typeof value === "string") return leaves.text(value.isWellFormed() ? value : value.toWellFormed());
  if (typeof value === "number") return leaves.number(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth === MAX_DEPTH) return CUT;
  if (Array.isArray(value)) {
    return value.slice(0, MAX_ITEMS).map((item: unknown) => rebuild(item, leaves, depth + 1));
  }
  const rebuilt: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value).slice(0, MAX_ITEMS)) {
    rebuilt[leaves.text(name)] = leaves.field(name, field) ?? rebuild(field, leaves, depth + 1);
  }
  return rebuilt;
}
