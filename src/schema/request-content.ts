/**
 * A request's content in the shape of the GenAI semantic conventions' messages (v1.41): what a client wire reads out of a
 * request for a trace that may hold content. Not the wire's own form, and not how it is masked or cut.
 */

/** A part of a message; further fields are the conventions' own (`content`, `arguments`, `response`, `uri`, …). */
export interface ContentPart {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface ContentMessage {
  readonly role: string;
  readonly parts: readonly ContentPart[];
  readonly name?: string;
  readonly finish_reason?: string;
}

export interface RequestContent {
  readonly instructions: readonly ContentPart[];
  readonly input: readonly ContentMessage[];
  readonly tools: readonly unknown[];
}

/** A tool's arguments as JSON; models write broken JSON too, and that stays the text it is. */
export function readArguments(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}
