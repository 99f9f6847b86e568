/**
 * Who gets a record's secrets: the kind of the service, the origin of its address, and the options that a kind makes a host
 * name of. A secret is good for no other. Pure.
 */

import { HOST_OPTIONS } from "./account-record.ts";

interface Addressed {
  readonly kind: string;
  readonly baseUrl?: string | undefined;
  readonly options: Readonly<Record<string, unknown>>;
}

interface Destined {
  readonly preset: string;
  readonly endpoint?: string | undefined;
}

/** `openai https://api.openai.com`, `bedrock default region=eu-west-1`; a record that names no address is for the kind's own. */
export function audienceOfProvider({ kind, baseUrl, options }: Addressed): string {
  const hosts = HOST_OPTIONS.filter((name) => name in options).map(
    (name) => ` ${name}=${String(options[name])}`,
  );
  return `${kind} ${originOf(baseUrl)}${hosts.join("")}`;
}

/** As it was before 0.2.0 took the options in. */
export function withoutHostOptions(audience: string): string {
  return audience.split(" ", 2).join(" ");
}

export function audienceOfDestination({ preset, endpoint }: Destined): string {
  return `${preset} ${originOf(endpoint)}`;
}

export function audienceOfWebhook({ url }: { readonly url: string }): string {
  return `webhook ${originOf(url)}`;
}

function originOf(url: string | undefined): string {
  return url === undefined ? "default" : new URL(url).origin;
}
