/** `apply`, `diff`, `export` and `schema`: a gateway's configuration in a file, kept in version control. */

import { readFileSync, writeFileSync } from "node:fs";
import { CommandError } from "../command-error.ts";
import { type ConfigChange, planChanges } from "../config/changes.ts";
import { configJsonSchema } from "../config/config-schema.ts";
import { type CurrentTenant, readCurrentTenant } from "../config/current-config.ts";
import { readConfig } from "../config/read-config.ts";
import { writeConfig } from "../config/write-config.ts";
import { callJson, listRecords } from "../connection.ts";
import { changeText, summaryOf } from "../output.ts";
import type { CommandContext, RunCommand } from "./command.ts";

const STANDARD_INPUT = 0;
const DIFFERENT = 1;

export const applyCommand: RunCommand = async (context) => {
  const { changes, missing } = await plan(context);
  if (context.options["dry-run"] === true) return printPlan(context, changes, missing, 0);
  if (missing.length > 0) {
    throw new CommandError(`The file names variables that are not set: ${missing.join(", ")}.`);
  }
  for (const change of changes) await applyChange(context, change);
  context.note(changes.length === 0 ? summaryOf(changes) : `Done: ${changes.length} changed.`);
  return 0;
};

export const diffCommand: RunCommand = async (context) => {
  const { changes, missing } = await plan(context);
  return printPlan(context, changes, missing, DIFFERENT);
};

export const exportCommand: RunCommand = async ({ positionals, options, connection, print, note }) => {
  const gateway = connection();
  const names =
    positionals.length > 0
      ? positionals
      : (await listRecords(gateway, "/admin/tenants")).map((tenant) => String(tenant["id"]));
  const tenants = new Map<string, CurrentTenant>();
  for (const name of names) {
    const current = await readCurrentTenant(gateway, name);
    if (current.record === undefined) throw new CommandError(`There is no tenant ${name}.`);
    tenants.set(name, current);
  }
  const { text, variables, notes } = writeConfig(tenants);
  if (typeof options["output"] === "string") writeFileSync(options["output"], text);
  else print(text.trimEnd());
  for (const line of notes) note(line);
  if (variables.length > 0) {
    note(`Set these variables before you apply the file elsewhere:\n  ${variables.join("\n  ")}`);
  }
  return 0;
};

export const schemaCommand: RunCommand = async ({ print }) => {
  print(JSON.stringify(configJsonSchema(), null, 2));
  return 0;
};

async function plan({ positionals, options, env, connection }: CommandContext): Promise<{
  readonly changes: readonly ConfigChange[];
  readonly missing: readonly string[];
}> {
  const [file] = positionals;
  if (file === undefined) throw new CommandError("Name the configuration file, or - for standard input.");
  const { config, missing } = readConfig(readText(file), file === "-" ? "The input" : file, env);
  const gateway = connection();
  const changes: ConfigChange[] = [];
  for (const [tenant, wanted] of Object.entries(config.tenants)) {
    const current = await readCurrentTenant(gateway, tenant);
    changes.push(...planChanges(tenant, wanted, current, options["prune"] === true));
  }
  return { changes, missing };
}

function readText(file: string): string {
  try {
    return readFileSync(file === "-" ? STANDARD_INPUT : file, "utf8");
  } catch (error) {
    throw new CommandError(
      `${file} can't be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** The credentials of variables that are not set are not compared. */
function printPlan(
  { print, note }: CommandContext,
  changes: readonly ConfigChange[],
  missing: readonly string[],
  statusIfDifferent: number,
): number {
  for (const change of changes) print(changeText(change));
  note(summaryOf(changes));
  if (missing.length > 0) note(`Not compared, since these variables are not set: ${missing.join(", ")}.`);
  return changes.length === 0 ? 0 : statusIfDifferent;
}

async function applyChange({ connection, print }: CommandContext, change: ConfigChange): Promise<void> {
  const { method, path, body } = change.call;
  const answer = await callJson(connection(), method, path, body);
  print(changeText(change));
  if (change.sort === "key" && change.action === "create") {
    print(`    ${String(answer["key"])}   (shown this once)`);
  }
}
