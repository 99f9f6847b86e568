/**
 * A gateway's records as a configuration file: without what is a default, and with a variable in place of each credential, which
 * the gateway never shows. Pure.
 */

import { stringify } from "yaml";
import type { z } from "zod/mini";
import { keySchema, providerSchema, tenantSchema } from "../../tenants/records/records.ts";
import { routeSchema } from "../../tenants/records/route-record.ts";
import type { CurrentTenant, ShownRecord } from "./current-config.ts";

export interface WrittenConfig {
  readonly text: string;
  /** The variables that stand for credentials. */
  readonly variables: readonly string[];
  /** What the file can't say, each a sentence. */
  readonly notes: readonly string[];
}

export function writeConfig(tenants: ReadonlyMap<string, CurrentTenant>): WrittenConfig {
  const variables: string[] = [];
  const notes: string[] = [];
  const named = (...parts: readonly string[]): string => {
    const variable = parts
      .join("_")
      .toUpperCase()
      .replaceAll(/[^A-Z0-9]+/g, "_");
    variables.push(variable);
    return `\${${variable}}`;
  };
  const entries = [...tenants].map(([tenant, current]) => {
    const names = current.keys.map(({ name }) => name);
    for (const name of new Set(names.filter((found, at) => names.indexOf(found) !== at))) {
      notes.push(`Tenant ${tenant} has several keys named "${name}": only the first is in the file.`);
    }
    const tenantRecord = withVariables(escaped(current.record ?? {}), (path) => named(tenant, ...path));
    return [
      tenant,
      {
        ...withoutDefaults(tenantRecord, tenantSchema),
        ...part("providers", current.providers, (record, name) =>
          withoutDefaults(
            withVariables(escaped(record), (path) => named(tenant, name, ...path)),
            providerSchema,
          ),
        ),
        ...part("routes", current.routes, (record) => withoutDefaults(escaped(record), routeSchema)),
        ...part(
          "keys",
          new Map(current.keys.toReversed().map(({ name, record }) => [name, record])),
          (record, name) => {
            const { name: _, status, ...rest } = withoutDefaults({ name, ...escaped(record) }, keySchema);
            return { ...rest, ...(status !== "active" && { status }) };
          },
        ),
      },
    ] as const;
  });
  const text = stringify(
    { tenants: Object.fromEntries(entries) },
    { lineWidth: 0, aliasDuplicateObjects: false },
  );
  return { text, variables, notes };
}

function part(
  name: string,
  records: ReadonlyMap<string, ShownRecord>,
  write: (record: ShownRecord, name: string) => object,
): object {
  if (records.size === 0) return {};
  const written = [...records].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { [name]: Object.fromEntries(written.map(([key, record]) => [key, write(record, key)])) };
}

/** A text that only looks like a variable stays one. */
function escaped(record: ShownRecord): ShownRecord {
  return JSON.parse(JSON.stringify(record).replaceAll("${", "$$${")) as ShownRecord;
}

/** Credentials become variables, named by where they stand. */
function withVariables(record: ShownRecord, toVariable: (path: readonly string[]) => string): ShownRecord {
  const visit = (value: unknown, path: readonly string[]): unknown => {
    if (Array.isArray(value)) {
      return value.map((item: unknown, at) => visit(item, [...path, nameOf(item) ?? String(at)]));
    }
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]): [string, unknown] => {
        const isSecret = name === "apiKey" || name === "secret" || path.at(-1) === "headers";
        const at = [...path, name === "apiKey" ? "api_key" : name];
        return [
          name,
          isSecret && typeof inner === "string"
            ? toVariable(at.filter((step) => step !== "headers"))
            : visit(inner, at),
        ];
      }),
    );
  };
  // An object in, an object out.
  return visit(record, []) as ShownRecord;
}

function nameOf(item: unknown): string | undefined {
  const { name } = Object(item) as { name?: unknown };
  return typeof name === "string" ? name : undefined;
}

/** Leaves out each field that the schema would fill in with the same value. */
export function withoutDefaults(record: ShownRecord, schema: z.ZodMiniType): ShownRecord {
  const full = JSON.stringify(sorted(record));
  const same = (candidate: ShownRecord): boolean => {
    const parsed = schema.safeParse(candidate);
    return parsed.success && JSON.stringify(sorted(parsed.data)) === full;
  };
  return same(record) ? prune(record, same) : record;
}

/** `isSame` takes the whole record with a smaller value in place of this one. */
function prune(value: ShownRecord, isSame: (candidate: ShownRecord) => boolean): ShownRecord {
  let kept = value;
  for (const [name, inner] of Object.entries(value)) {
    const { [name]: _, ...rest } = kept;
    if (isSame(rest)) kept = rest;
    else if (typeof inner === "object" && inner !== null && !Array.isArray(inner)) {
      const before = kept;
      const smaller = prune(inner as ShownRecord, (candidate) => isSame({ ...before, [name]: candidate }));
      kept = { ...kept, [name]: smaller };
    }
  }
  return kept;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, inner]) => [name, sorted(inner)]),
  );
}
