/**
 * A tenant's webhook as a target of its outbox: each body is signed when it is sent, by the Standard Webhooks
 * specification (https://github.com/standard-webhooks/standard-webhooks, seen 2026-11), so that a receiver can tell a
 * repetition from an old message that somebody else sends again.
 */

import { encodeText, sha256Hex } from "../../../bytes/digest.ts";
import type { ContentMode } from "../../content/content.ts";
import { WEBHOOK_NAME } from "../outbox-port.ts";
import { type Destination, type ExportPayload, type SendResult, sendOnce } from "../otlp-send.ts";

/** What waits in an outbox is sent to. */
export interface OutboxTarget extends Destination {
  /** How much content it may have. */
  readonly content: ContentMode;
  /** Of a webhook: `whsec_…`, and each body is signed with it. */
  readonly secret?: string;
}

export function webhookTarget(url: string, secret: string): OutboxTarget {
  return { name: WEBHOOK_NAME, url, headers: {}, gzip: false, content: "off", secret };
}

const SECRET_PREFIX = "whsec_";
const ID_CHARS = 32;
const MS_PER_SECOND = 1000;
const TOO_MANY_REQUESTS = 429;
const REQUEST_TIMEOUT = 408;
const SERVER_ERROR = 500;

type Ports = Parameters<typeof sendOnce>[2];

/** One try. A receiver's own faults are temporary: what it refuses with 4xx is not sent again. */
export async function sendSigned(
  target: OutboxTarget,
  secret: string,
  payload: ExportPayload,
  ports: Ports,
): Promise<SendResult> {
  const headers = await signatureOf(secret, payload.body, ports.clock());
  const result = await sendOnce({ ...target, headers }, payload, ports);
  if (result.kind === "ok" || result.status === undefined) return result;
  const { status } = result;
  const mayRetry = status >= SERVER_ERROR || status === TOO_MANY_REQUESTS || status === REQUEST_TIMEOUT;
  return { ...result, mayRetry };
}

/** The three headers: the message's id is in its body, else made of it, and so the same in each try. */
export async function signatureOf(
  secret: string,
  body: Uint8Array<ArrayBuffer>,
  now: number,
): Promise<Record<string, string>> {
  const text = new TextDecoder().decode(body);
  const id = idOf(text) || `evt_${(await sha256Hex(text)).slice(0, ID_CHARS)}`;
  const timestamp = Math.floor(now / MS_PER_SECOND);
  const bytes = Uint8Array.from(atob(secret.slice(SECRET_PREFIX.length)), (char) => char.charCodeAt(0));
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign"]);
  const signed = await crypto.subtle.sign("HMAC", key, encodeText(`${id}.${timestamp}.${text}`));
  return {
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": `v1,${btoa(String.fromCharCode(...new Uint8Array(signed)))}`,
  };
}

function idOf(text: string): string {
  const message: unknown = JSON.parse(text);
  const id: unknown =
    typeof message === "object" && message !== null ? Reflect.get(message, "id") : undefined;
  return typeof id === "string" ? id : "";
}
