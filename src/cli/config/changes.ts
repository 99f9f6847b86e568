/**
 * What must change at a gateway so that it is as a configuration file says: the calls in the order in which they are made, each
 * with the fields that differ. A credential is compared by its mask, since the gateway never shows more. Pure.
 */

import { isMask, maskSecret } from "../../tenants/records/sealing.ts";
import type { TenantConfig } from "./config-schema.ts";
import type { CurrentTenant, ShownRecord } from "./current-config.ts";
import { isUnfilled } from "./read-config.ts";

export type RecordSort = "tenant" | "provider" | "route" | "key";

export interface ConfigChange {
  readonly action: "create" | "update" | "delete";
  readonly sort: RecordSort;
  readonly tenant: string;
  readonly name: string;
  /** Of an update. Credentials as masks. */
  readonly fields: readonly FieldChange[];
  readonly call: { readonly method: string; readonly path: string; readonly body?: unknown };
}

export interface FieldChange {
  /** `targets[0].model` */
  readonly path: string;
  /** As JSON; undefined where the field is absent. */
  readonly from: string | undefined;
  readonly to: string | undefined;
}

/** `prune`: providers, routes and keys that the file does not name are deleted, in the parts that it has. Tenants never are. */
export function planChanges(
  tenant: string,
  { providers, routes, keys, ...record }: TenantConfig,
  current: CurrentTenant,
  prune: boolean,
): readonly ConfigChange[] {
  const path = `/admin/tenants/${tenant}`;
  const put = (
    sort: RecordSort,
    name: string,
    at: string,
    wanted: object,
    now?: ShownRecord,
  ): ConfigChange[] => {
    // Routes hold no credentials: a parameter of a target's may be called as one.
    const asShown = sort === "route" ? wanted : shown(wanted);
    return changeTo({ sort, tenant, name }, { method: "PUT", path: at, body: wanted }, asShown, now);
  };
  const writes = [
    ...put("tenant", tenant, path, record, current.record),
    ...Object.entries(providers ?? {}).flatMap(([name, wanted]) =>
      put("provider", name, `${path}/providers/${name}`, wanted, current.providers.get(name)),
    ),
    ...Object.entries(routes ?? {}).flatMap(([name, wanted]) =>
      put("route", name, `${path}/routes/${name}`, wanted, current.routes.get(name)),
    ),
    ...Object.entries(keys ?? {}).flatMap(([name, wanted]) => keyChanges(tenant, name, wanted, current)),
  ];
  if (!prune) return writes;
  const gone = (sort: RecordSort, name: string, at: string): ConfigChange => ({
    action: "delete",
    sort,
    tenant,
    name,
    fields: [],
    call: { method: "DELETE", path: `${path}/${at}` },
  });
  const unnamed = (part: object | undefined, names: Iterable<string>): string[] =>
    part === undefined ? [] : [...names].filter((name) => !Object.hasOwn(part, name));
  return [
    ...writes,
    // Routes before the providers that they name.
    ...unnamed(routes, current.routes.keys()).map((name) => gone("route", name, `routes/${name}`)),
    ...unnamed(providers, current.providers.keys()).map((name) =>
      gone("provider", name, `providers/${name}`),
    ),
    ...current.keys
      .filter(({ name }) => keys !== undefined && !Object.hasOwn(keys, name))
      .map(({ id, name }) => gone("key", name, `keys/${id}`)),
  ];
}

type KeyConfig = NonNullable<TenantConfig["keys"]>[string];

/** A key is known by its name; the first of a name is the one. */
function keyChanges(tenant: string, name: string, wanted: KeyConfig, current: CurrentTenant): ConfigChange[] {
  const path = `/admin/tenants/${tenant}/keys`;
  const now = current.keys.find((key) => key.name === name);
  const of = { sort: "key", tenant, name } as const;
  if (now === undefined) return changeTo(of, { method: "POST", path, body: { name, ...wanted } }, wanted);
  const cleared = Object.fromEntries(Object.keys(now.record).map((field) => [field, null]));
  const call = { method: "PATCH", path: `${path}/${now.id}`, body: { ...cleared, ...wanted } };
  return changeTo(of, call, { status: "active", ...wanted }, now.record);
}

function changeTo(
  of: Pick<ConfigChange, "sort" | "tenant" | "name">,
  call: ConfigChange["call"],
  wanted: object,
  now?: ShownRecord,
): ConfigChange[] {
  if (now === undefined) return [{ action: "create", ...of, fields: [], call }];
  const fields = compare(flatten(now), flatten(wanted));
  return fields.length === 0 ? [] : [{ action: "update", ...of, fields, call }];
}

/** A wanted record as the gateway would show it: credentials masked, names of headers in lower case. */
function shown(record: object): object {
  return mapEntries(record, (name, value) => {
    if (name === "headers" && typeof value === "object" && value !== null) {
      return mapEntries(
        value,
        (_, secret) => mask(secret),
        (header) => header.toLowerCase(),
      );
    }
    if (name === "apiKey" || name === "secret") return mask(value);
    if (Array.isArray(value)) return value.map((item: unknown) => (isObject(item) ? shown(item) : item));
    return isObject(value) ? shown(value) : value;
  });
}

function mask(value: unknown): unknown {
  return typeof value === "string" && !isUnfilled(value) ? maskSecret(value) : value;
}

function mapEntries(
  record: object,
  toValue: (name: string, value: unknown) => unknown,
  toName: (name: string) => string = (name) => name,
): object {
  return Object.fromEntries(
    Object.entries(record).map(([name, value]) => [toName(name), toValue(name, value)]),
  );
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** Each leaf by its path, as JSON. Empty objects say nothing. */
function flatten(value: unknown, path = ""): ReadonlyMap<string, string> {
  if (Array.isArray(value) && value.every((item) => !isObject(item))) {
    return new Map([[path, JSON.stringify(value)]]);
  }
  if (!isObject(value)) return new Map(value === undefined ? [] : [[path, JSON.stringify(value)]]);
  const isList = Array.isArray(value);
  return new Map(
    Object.entries(value).flatMap(([name, inner]) => [
      ...flatten(inner, isList ? `${path}[${name}]` : path === "" ? name : `${path}.${name}`),
    ]),
  );
}

/** A credential whose variable is not set counts as unchanged, where there is one. */
function compare(
  now: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string>,
): readonly FieldChange[] {
  return [...new Set([...now.keys(), ...wanted.keys()])].flatMap((path) => {
    const [from, to] = [now.get(path), wanted.get(path)];
    const isSame = from === to || (from !== undefined && isMask(from) && to !== undefined && isUnfilled(to));
    return isSame ? [] : [{ path, from, to }];
  });
}
