/** Who gets a record's secrets: the kind of the service and the origin of its address. A secret is good for no other. Pure. */

interface Addressed {
  readonly kind: string;
  readonly baseUrl?: string | undefined;
}

interface Destined {
  readonly preset: string;
  readonly endpoint?: string | undefined;
}

/** `openai https://api.openai.com`; a record that names no address is for the kind's own. */
export function audienceOfProvider({ kind, baseUrl }: Addressed): string {
  return `${kind} ${originOf(baseUrl)}`;
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
