#!/usr/bin/env node
/** The command line: `npx headgate`. Finds the command, reads its options, and turns faults into messages and a status. */

import { enableCompileCache } from "node:module";
import { parseArgs } from "node:util";
import { VERSION } from "../version.ts";
import type { Command } from "./commands/command.ts";
import { COMMANDS } from "./commands/commands.ts";
import { CommandError } from "./command-error.ts";
import { connect } from "./connection.ts";
import { table } from "./output.ts";

const CANNOT = 2;
const URL_OPTION = { url: "=URL  of the gateway; default: HEADGATE_URL, else http://localhost:8787" };

// A command is a process of its own, and most of its time is the loading of its modules.
enableCompileCache();
process.exitCode = await main(process.argv.slice(2));

async function main([name = "help", ...rest]: readonly string[]): Promise<number> {
  if (["help", "--help", "-h"].includes(name)) return say(helpText());
  if (["version", "--version", "-v"].includes(name)) return say(VERSION);
  const command = COMMANDS[name];
  if (command === undefined) return complain(`There is no command "${name}".\n\n${helpText()}`);
  if (rest.includes("--help")) return say(commandHelp(command));
  try {
    const { values, positionals } = readArguments(name, command, rest);
    const { url } = values;
    const run = await command.load();
    return await run({
      positionals,
      options: values,
      env: process.env,
      connection: () => connect(typeof url === "string" ? url : undefined, process.env),
      print: (text) => void process.stdout.write(`${text}\n`),
      note: (text) => void process.stderr.write(`${text}\n`),
    });
  } catch (error) {
    if (error instanceof CommandError) return complain(error.message);
    throw error;
  }
}

interface ReadArguments {
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  readonly positionals: readonly string[];
}

function readArguments(name: string, command: Command, args: readonly string[]): ReadArguments {
  // Its options are wrangler's.
  if (name === "start") return { values: {}, positionals: args };
  const options = Object.fromEntries(
    Object.entries({ ...command.options, ...URL_OPTION }).map(([option, text]) => [
      option,
      { type: text.startsWith("=") ? ("string" as const) : ("boolean" as const) },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    return { values, positionals };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`${reason}\n\n${commandHelp(command)}`);
  }
}

function helpText(): string {
  const commands = Object.values(COMMANDS).map(({ usage, summary }) => [`  ${usage}`, summary]);
  return [
    `Headgate ${VERSION}. Commands:`,
    "",
    table(commands),
    "",
    "  headgate COMMAND --help shows a command's options.",
    "",
    "The gateway is that of --url or HEADGATE_URL (default http://localhost:8787). Its admin token is read from",
    "HEADGATE_TOKEN; for a local run in this folder it is found.",
  ].join("\n");
}

function commandHelp({ usage, summary, options }: Command): string {
  const rows = Object.entries({ ...options, ...URL_OPTION }).map(([option, text]) => {
    const [value, meaning] = text.startsWith("=") ? text.slice(1).split(/ {2}/) : [undefined, text];
    return [`  --${option}${value === undefined ? "" : ` ${value}`}`, meaning ?? ""];
  });
  return [`headgate ${usage}`, `  ${summary}`, "", table(rows)].join("\n");
}

function say(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}

function complain(text: string): number {
  process.stderr.write(`${text}\n`);
  return CANNOT;
}
