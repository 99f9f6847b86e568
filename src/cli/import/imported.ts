/** What an importer gives: the records of one tenant, and what it could not carry over. Pure. */

import { stringify } from "yaml";

export interface Imported {
  readonly providers: Readonly<Record<string, object>>;
  readonly routes: Readonly<Record<string, object>>;
  /** Fields of the tenant's own record. */
  readonly tenant: object;
  /** What has no counterpart or must be checked, each a sentence. */
  readonly notes: readonly string[];
}

export function writeImported(tenant: string, { providers, routes, tenant: fields }: Imported): string {
  const document = { tenants: { [tenant]: { ...fields, providers, routes } } };
  return stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
}

/** Names of our records are 1 to 63 of `a-z 0-9 . _ -`. */
export function toRecordName(text: string): string {
  const name = text
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .replace(/^[._-]+/, "")
    .slice(0, 63);
  return name === "" ? "unnamed" : name;
}

/** Names each distinct value once: `openai`, then `openai-2`. */
export class NamedOnce<T> {
  readonly #byContent = new Map<string, string>();
  readonly #values = new Map<string, T>();

  nameOf(wanted: string, value: T): string {
    const content = JSON.stringify(value);
    const known = this.#byContent.get(content);
    if (known !== undefined) return known;
    let name = wanted;
    for (let count = 2; this.#values.has(name); count += 1) name = `${wanted}-${count}`;
    this.#byContent.set(content, name);
    this.#values.set(name, value);
    return name;
  }

  get values(): Readonly<Record<string, T>> {
    return Object.fromEntries(this.#values);
  }
}
