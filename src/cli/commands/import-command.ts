/** `import`: another gateway's configuration as ours, with a report of what has no counterpart. */

import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { CommandError } from "../command-error.ts";
import { importLiteLlm } from "../import/litellm.ts";
import { importPortkey } from "../import/portkey.ts";
import { writeImported } from "../import/imported.ts";
import type { RunCommand } from "./command.ts";

const SOURCES = { litellm: importLiteLlm, portkey: importPortkey };

export const importCommand: RunCommand = async ({ positionals, options, print, note }) => {
  const [source, file] = positionals;
  if (source === undefined || !(source in SOURCES)) {
    throw new CommandError(`import takes ${Object.keys(SOURCES).join(" or ")}, and a file.`);
  }
  if (file === undefined) throw new CommandError(`Name the file: import ${source} FILE`);
  let document: unknown;
  try {
    document = parse(readFileSync(file, "utf8"));
  } catch (error) {
    throw new CommandError(
      `${file} can't be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const imported = SOURCES[source as keyof typeof SOURCES](document);
  print(writeImported(String(options["tenant"] ?? "migrated"), imported).trimEnd());
  for (const line of imported.notes) note(line);
  note("Check the file, then: headgate apply FILE");
  return 0;
};
