/**
 * Which calls of a vendor's own API a tenant's clients may make: those that the provider's record opens, and never those
 * that make credentials or administer the vendor's organisation. Pure. Whether the path stays below its base is
 * upstream/native-url.ts.
 */

import { GatewayError } from "../../errors.ts";
import { hasUnsafeCharacters, leavesBase, readingsOf } from "../../runtime/safe-names.ts";
import type { NativeAsk } from "./native-body.ts";
import type { ProviderRecord } from "../../tenants/records/records.ts";

type NativeCall = Pick<NativeAsk, "accountName" | "method" | "path">;

/** Throws `permission_denied` that says how to open the call. */
export function checkNativeAccess(record: Pick<ProviderRecord, "native">, call: NativeCall): void {
  if (leavesBase(call.path)) {
    throw new GatewayError(
      "invalid_request",
      "The path must not contain the segments '.' and '..', in any encoding.",
      { param: "path" },
    );
  }
  const { native } = record;
  // As it was sent and as a server may decode it: all of them have to be allowed.
  const readings = readingsOf(call.path.replace(/^\/+/, "")) ?? [];
  if (readings.some(hasUnsafeCharacters)) {
    throw new GatewayError("invalid_request", "The path must not contain control characters.", {
      param: "path",
    });
  }
  if (readings.some(isAdministrative)) {
    throw denied("Endpoints that make credentials or administer the vendor's organisation can't be called.");
  }
  const isOpen =
    native === "all" ||
    (native ?? []).some((pattern) => readings.every((path) => matches(pattern, call.method, path)));
  if (isOpen) return;
  throw denied(
    `The provider '${call.accountName}' does not open this call. Add "${call.method} ${shorten(readings[0] ?? "")}" to \`native\` in its record.`,
  );
}

function denied(message: string): GatewayError {
  return new GatewayError("permission_denied", message, { param: "path" });
}

const MAX_PATH_CHARS = 200;

function shorten(path: string): string {
  return path.length <= MAX_PATH_CHARS ? path : `${path.slice(0, MAX_PATH_CHARS)}…`;
}

/**
 * Segments of the paths under which vendors and compatible gateways make keys and short-lived tokens, list members, or
 * show the account, without their signs: OpenAI, Anthropic, Google, OpenRouter, LiteLLM, Portkey, Hugging Face, MLflow
 * (their API references, seen 2026-11).
 */
const ADMINISTRATIVE: ReadonlySet<string> = new Set(
  (
    "account accounts admin apikey auth authtoken authtokens billing budget certificates config credential credits customer dashboard " +
    "generateaccesstoken generateidtoken invites key members oauth organisation organisations organization organizations " +
    "permissions provisioning secret serviceaccounts sso team teams token transcriptionsessions user users vaults virtualkeys whoamiv2 workspaces"
  ).split(" "),
);
/** `admin_api_keys`, `client-secrets`, `single-use-token`; to count or compute tokens makes none. */
const CREDENTIALS =
  /(?:^|[^a-z])(?:api)?(?:keys?|secrets?|credentials?|(?<!(?:count|compute)[^a-z]?)tokens?)[^a-z]{0,9}$/;
/** OpenAI's sessions come with a client secret (https://platform.openai.com/docs/api-reference, seen 2026-11); LiteLLM's own models. */
const PAIRS = /(?:^|\/)(?:(?:realtime|chatkit)\/+sessions|model\/+(?:new|update|delete))(?![a-z0-9_-])/;
/** A path of Cloudflare's own API names the account first; what follows decides. */
const ACCOUNT_PREFIX = /^(?:client\/v4\/)?accounts\/[^/]+\/ai\//;

function isAdministrative(path: string): boolean {
  const words = path
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_")
    .toLowerCase()
    .replace(ACCOUNT_PREFIX, "");
  if (PAIRS.test(words)) return true;
  return words
    .split(/[\\/;:?#]/)
    .some((part) => CREDENTIALS.test(part) || ADMINISTRATIVE.has(part.replaceAll(/[^a-z0-9]/g, "")));
}

/** `POST v1/images/*`: `*` is any method, and in a path any run of characters. */
function matches(pattern: string, method: string, path: string): boolean {
  const space = pattern.indexOf(" ");
  const wanted = pattern.slice(0, space);
  if (wanted !== "*" && wanted !== method) return false;
  return matchesGlob(pattern.slice(space + 1).replace(/^\/+/, ""), path);
}

/** Linear: each part is looked for from where the one before it ended. */
function matchesGlob(glob: string, text: string): boolean {
  const [head = "", ...parts] = glob.split("*");
  const tail = parts.pop();
  if (tail === undefined) return head === text;
  if (!text.startsWith(head)) return false;
  let at = head.length;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return text.length - at >= tail.length && text.endsWith(tail);
}
