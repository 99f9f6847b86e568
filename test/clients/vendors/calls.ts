// The calls of tools in an answer, as a strict client of each wire puts them together.
import type { Seen } from "./report-case.ts";

export interface ReadCall {
  readonly name: string;
  /** As text, since numbers must keep their digits. */
  readonly arguments: string;
}
type Open = { name: string; arguments: string };

interface ChatCall {
  readonly index?: number;
  readonly function?: { readonly name?: string; readonly arguments?: string };
}
interface Block {
  readonly type: string;
  readonly name?: string;
  readonly input?: unknown;
}
/** What of any wire's event or answer is read here; whatever else it is has none of these members. */
interface Said {
  readonly type?: string;
  readonly index?: number;
  readonly choices?: readonly {
    readonly message?: { readonly tool_calls?: readonly ChatCall[] };
    readonly delta?: { readonly tool_calls?: readonly ChatCall[] };
  }[];
  readonly content?: readonly Block[];
  readonly content_block?: Block;
  readonly delta?: { readonly partial_json?: string };
}

/** The data of each event, or the whole answer. */
export function saidIn({ text }: Seen): readonly Said[] {
  const isStream = /^(?:event|data): /.test(text);
  const parts = isStream ? [...text.matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => data) : [text];
  return parts.filter((data) => data !== "[DONE]").map((data) => JSON.parse(data) as Said);
}

/** Of the chat wire: fragments are joined by their index, and by nothing else. */
export function chatCalls(seen: Seen): readonly ReadCall[] {
  const calls: Open[] = [];
  for (const { choices: [choice] = [] } of saidIn(seen)) {
    for (const [at, call] of (choice?.message?.tool_calls ?? []).entries()) calls[at] = join(undefined, call);
    for (const call of choice?.delta?.tool_calls ?? []) {
      if (call.index === undefined) throw new Error("a fragment without an index");
      calls[call.index] = join(calls[call.index], call);
    }
  }
  return calls;
}

function join(call: Open | undefined, { function: said = {} }: ChatCall): Open {
  const { name = "", arguments: text = "" } = said;
  return call === undefined ? { name, arguments: text } : { ...call, arguments: call.arguments + text };
}

/** Of the Messages wire: a block's fragments come between its start and its stop. */
export function messageCalls(seen: Seen): readonly ReadCall[] {
  const calls: Open[] = [];
  let open: Open | undefined;
  for (const { type, content = [], content_block: block, delta } of saidIn(seen)) {
    for (const { type: kind, name = "", input } of content)
      if (kind === "tool_use") calls.push({ name, arguments: JSON.stringify(input) });
    if (type === "content_block_start" && block?.type === "tool_use") {
      open = { name: block.name ?? "", arguments: "" };
      calls.push(open);
    }
    if (type === "content_block_stop") open = undefined;
    if (delta?.partial_json === undefined) continue;
    if (open === undefined) throw new Error("a fragment outside a block of a tool's call");
    open.arguments += delta.partial_json;
  }
  return calls;
}
