/** Every command on one screen: how it is called, what it does, its options. What it runs is loaded when it is called. */

import type { Command } from "./command.ts";

/** Options of `traces` and `tail` that are search parameters of the API: src/docs/admin-api.md, "Traces". */
const FILTER_HELP = {
  tenant: "=TENANT  of this tenant",
  status: "=STATUS  an HTTP status, or error",
  model: "=MODEL",
  route: "=ROUTE",
  key: "=ID  of this gateway key",
  outcome: "=OUTCOME  ok, cache_hit, rejected …",
  cache: "=STATE  hit, miss, bypass or coalesced",
  since: "=WHEN  an age such as 15m or 7d, or an ISO 8601 time",
  limit: "=COUNT  at most 200; default 50",
};

export const COMMANDS: Readonly<Record<string, Command>> = {
  start: {
    usage: "start [OPTIONS]",
    summary: "runs the gateway on this machine; options go to wrangler, for example --port 9000",
    options: {},
    load: async () => (await import("./start-command.ts")).startCommand,
  },
  apply: {
    usage: "apply FILE",
    summary: "makes the gateway as the configuration file says",
    options: {
      "dry-run": "prints what would change, and changes nothing",
      prune: "also deletes providers, routes and keys that the file's tenants no longer name",
    },
    load: async () => (await import("./config-commands.ts")).applyCommand,
  },
  diff: {
    usage: "diff FILE",
    summary: "prints how the gateway differs from the configuration file; status 1 where it does",
    options: { prune: "also shows what apply --prune would delete" },
    load: async () => (await import("./config-commands.ts")).diffCommand,
  },
  export: {
    usage: "export [TENANT...]",
    summary: "prints the gateway's configuration, with variables in place of credentials",
    options: { output: "=FILE  writes it there" },
    load: async () => (await import("./config-commands.ts")).exportCommand,
  },
  schema: {
    usage: "schema",
    summary: "prints the JSON Schema of configuration files, for editors",
    options: {},
    load: async () => (await import("./config-commands.ts")).schemaCommand,
  },
  import: {
    usage: "import litellm|portkey FILE",
    summary: "prints a LiteLLM or Portkey configuration as ours, and what has no counterpart",
    options: { tenant: "=NAME  of the tenant in the new file; default: migrated" },
    load: async () => (await import("./import-command.ts")).importCommand,
  },
  keys: {
    usage: "keys TENANT [create NAME | revoke ID | rotate ID]",
    summary: "lists a tenant's keys, makes one, revokes one, or gives one a new secret",
    options: { overlap: "=SECONDS  of rotate: how long the old secret stays valid" },
    load: async () => (await import("./key-commands.ts")).keysCommand,
  },
  usage: {
    usage: "usage [TENANT]",
    summary: "prints requests, tokens and money of a tenant, or of all",
    options: {
      from: "=WHEN  an age such as 7d, or an ISO 8601 time; default: 30 days ago",
      to: "=WHEN  default: now",
      by: "=GROUPS  key, provider, model, route, endUser, session, metadata.NAME; default: model, of all tenants tenant",
      interval: "=STEP  hour, day or total; default: total",
      csv: "prints CSV",
      ndjson: "prints a line of JSON each",
    },
    load: async () => (await import("./usage-command.ts")).usageCommand,
  },
  traces: {
    usage: "traces",
    summary: "lists the newest traces, a line each",
    options: { ...FILTER_HELP, follow: "goes on with new ones as they come", json: "prints each as JSON" },
    load: async () => (await import("./trace-commands.ts")).tracesCommand,
  },
  trace: {
    usage: "trace ID",
    summary: "draws one trace: where its time went, and why",
    options: { json: "prints it as OTLP/JSON", width: "=COLUMNS  of the drawing; default: the terminal's" },
    load: async () => (await import("./trace-commands.ts")).traceCommand,
  },
  explain: {
    usage: "explain ID",
    summary: "says why a request took its time, against what is usual for its route",
    options: { tenant: "=TENANT  of this tenant", json: "prints it as JSON" },
    load: async () => (await import("./trace-commands.ts")).explainCommand,
  },
  tail: {
    usage: "tail",
    summary: "prints each request's trace as it comes",
    options: { ...FILTER_HELP, json: "prints each as JSON" },
    load: async () => (await import("./trace-commands.ts")).tailCommand,
  },
  doctor: {
    usage: "doctor [TENANT...]",
    summary: "checks the gateway, its settings, its tenants' records and the delivery of their traces",
    options: { "send-spans": "also sends a test span to each destination" },
    load: async () => (await import("./doctor-command.ts")).doctorCommand,
  },
};
