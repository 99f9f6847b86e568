/** `traces`, `tail`, `trace` and `explain`: what requests did, from the embedded trace store. */

import { setTimeout as sleep } from "node:timers/promises";
import { CommandError } from "../command-error.ts";
import { call, callJson, type Connection, readRecord, refusal } from "../connection.ts";
import { explainTrace } from "../explain-trace.ts";
import { durationText } from "../../console/model/words.ts";
import { explanationText } from "../../telemetry/explain/explanation.ts";
import { table } from "../output.ts";
import type { CommandContext, RunCommand } from "./command.ts";

/** Options of `traces` that are search parameters of the API: src/docs/admin-api.md, "Traces". */
const FILTERS = ["tenant", "status", "model", "route", "key", "outcome", "cache", "since", "limit"] as const;
const POLL_MS = 1000;
/** A poll reads no more. */
const POLL_LIMIT = "200";
const DEFAULT_WIDTH = 100;

export const tracesCommand: RunCommand = async (context) => {
  if (context.options["follow"] === true) return follow(context);
  const items = await search(context.connection(), parametersOf(context));
  if (context.options["json"] === true) for (const item of items) context.print(JSON.stringify(item));
  else if (items.length === 0) context.note("No trace matches.");
  else context.print(table([HEADINGS, ...items.map(rowOf)]));
  return 0;
};

export const tailCommand: RunCommand = follow;

export const traceCommand: RunCommand = async ({ positionals, options, connection, print }) => {
  const [id] = positionals;
  if (id === undefined)
    throw new CommandError("Name the trace: its id is in each answer's x-trace-id header.");
  const width = String(options["width"] ?? process.stdout.columns ?? DEFAULT_WIDTH);
  const isJson = options["json"] === true;
  const path = `/admin/traces/${encodeURIComponent(id)}${isJson ? "" : `?width=${width}`}`;
  const response = await call(connection(), "GET", path, {
    accept: isJson ? "application/json" : "text/plain",
  });
  const text = await response.text();
  if (response.status === 404) {
    throw new CommandError(noTrace(id));
  }
  if (!response.ok) throw refusal("GET", path, response.status, text);
  print(text.trimEnd());
  return 0;
};

export const explainCommand: RunCommand = async ({ positionals, options, connection, print }) => {
  const [id] = positionals;
  if (id === undefined)
    throw new CommandError("Name the trace: its id is in each answer's x-trace-id header.");
  const { tenant } = options;
  const gateway = connection();
  const found = await explainTrace(
    (path) => readRecord(gateway, path),
    id.toLowerCase(),
    typeof tenant === "string" ? tenant : undefined,
  );
  if (found.length === 0) throw new CommandError(noTrace(id));
  print(options["json"] === true ? JSON.stringify(found, null, 2) : found.map(explanationText).join("\n\n"));
  return 0;
};

const noTrace = (id: string): string =>
  `There is no trace ${id} in the store. New traces appear within a second; old ones end with the store's limits.`;

/** Prints until the process is stopped. */
async function follow(context: CommandContext): Promise<number> {
  const connection = context.connection();
  const parameters = parametersOf(context);
  const seen = new Set((await search(connection, { ...parameters, limit: POLL_LIMIT })).map(idOf));
  context.note("Waiting for requests. Stop with Ctrl-C.");
  for (;;) {
    await sleep(POLL_MS);
    const items = await search(connection, { ...parameters, limit: POLL_LIMIT });
    const fresh = items.filter((item) => !seen.has(idOf(item))).toReversed();
    for (const item of fresh) {
      context.print(context.options["json"] === true ? JSON.stringify(item) : rowOf(item).join("  "));
    }
    if (fresh.length === Number(POLL_LIMIT))
      context.note("Some are not shown: there are more than can be read.");
    // Only the newest page is ever compared.
    seen.clear();
    for (const item of items) seen.add(idOf(item));
  }
}

type Item = Readonly<Record<string, unknown>>;

async function search(
  connection: Connection,
  parameters: Readonly<Record<string, string>>,
): Promise<readonly Item[]> {
  const { items } = await callJson(connection, "GET", `/admin/traces?${new URLSearchParams(parameters)}`);
  return items as readonly Item[];
}

function parametersOf({ options }: CommandContext): Record<string, string> {
  const given = FILTERS.map((name) => [name, options[name]] as const);
  return Object.fromEntries(
    given.filter((entry): entry is [(typeof entry)[0], string] => typeof entry[1] === "string"),
  );
}

const HEADINGS = [
  "TIME",
  "TRACE",
  "TENANT",
  "MODEL",
  "STATUS",
  "OUTCOME",
  "TIME TAKEN",
  "QUEUED",
  "TOKENS",
  "COST",
];

function rowOf(item: Item): readonly string[] {
  return [
    String(item["startedAt"]).slice(11, 23),
    idOf(item),
    textOf(item["tenant"]),
    textOf(item["model"] ?? item["route"]),
    textOf(item["status"]),
    textOf(item["outcome"]),
    durationText(numberOf(item["durationMs"])),
    durationText(numberOf(item["queueMs"])),
    `${numberOf(item["inputTokens"])}+${numberOf(item["outputTokens"])}`,
    typeof item["costUsd"] === "number" ? `$${item["costUsd"]}` : "-",
  ];
}

function idOf(item: Item): string {
  return String(item["traceId"]);
}

function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "-";
}

function numberOf(value: unknown): number {
  return typeof value === "number" ? value : 0;
}
