/** From the text of a configuration file to checked records. `${NAME}` in a text is an environment variable. Pure. */

import "../../json/zod-messages.ts";
import { parseDocument } from "yaml";
import { CommandError } from "../command-error.ts";
import { configSchema, type GatewayConfig } from "./config-schema.ts";

/** `$${` is a literal `${`. */
const VARIABLE = /\$?\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;
const MAX_FAULTS_SHOWN = 10;

export interface ReadConfig {
  readonly config: GatewayConfig;
  /** Variables that the file names and the environment lacks; their texts stay `${NAME}`. */
  readonly missing: readonly string[];
}

/** YAML or JSON. Throws a CommandError that names each field at fault. */
export function readConfig(
  text: string,
  fileName: string,
  env: Readonly<Record<string, string | undefined>>,
): ReadConfig {
  const document = parseDocument(text);
  const [syntax] = document.errors;
  if (syntax !== undefined) throw new CommandError(`${fileName}: ${syntax.message}`);
  const missing = new Set<string>();
  const filled = fillVariables(document.toJS(), env, missing);
  const parsed = configSchema.safeParse(filled);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `  ${pathText(path)}: ${message}`);
    const more = faults.length - MAX_FAULTS_SHOWN;
    throw new CommandError(
      [
        `${fileName} is not a valid configuration:`,
        ...faults.slice(0, MAX_FAULTS_SHOWN),
        ...(more > 0 ? [`  and ${more} more`] : []),
      ].join("\n"),
    );
  }
  return { config: parsed.data, missing: [...missing].toSorted() };
}

/** Whether a text still names a variable that the environment lacks. */
export function isUnfilled(text: string): boolean {
  return text.includes("${");
}

function fillVariables(
  value: unknown,
  env: Readonly<Record<string, string | undefined>>,
  missing: Set<string>,
): unknown {
  if (typeof value === "string") {
    return value.replaceAll(VARIABLE, (whole, name: string) => {
      if (whole.startsWith("$$")) return whole.slice(1);
      const found = env[name];
      if (found !== undefined && found !== "") return found;
      missing.add(name);
      return whole;
    });
  }
  if (Array.isArray(value)) return value.map((item) => fillVariables(item, env, missing));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, fillVariables(inner, env, missing)]),
  );
}

/** `tenants.acme.routes.chat.targets[0].model`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((part, at) => (typeof part === "number" ? `[${part}]` : `${at === 0 ? "" : "."}${String(part)}`))
    .join("");
}
