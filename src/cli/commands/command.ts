/** What each command gets and gives. */

import type { Connection } from "../connection.ts";

export interface CommandContext {
  /** What stands behind the command's name, without options. */
  readonly positionals: readonly string[];
  /** The options that the command names; a switch is true. */
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  readonly env: NodeJS.ProcessEnv;
  /** Of `--url`; made when it is first needed, since some commands call no gateway. */
  readonly connection: () => Connection;
  /** To standard output, a line. */
  readonly print: (text: string) => void;
  /** To standard error, a line: progress, notes and warnings. */
  readonly note: (text: string) => void;
}

/** Returns the exit status; throws a CommandError for what the user can mend. */
export type RunCommand = (context: CommandContext) => Promise<number>;

export interface Command {
  /** `apply FILE` */
  readonly usage: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Options, each with what it is; those whose text begins with `=` take a value. */
  readonly options: Readonly<Record<string, string>>;
  readonly load: () => Promise<RunCommand>;
}
