/**
 * The environment's variables and secrets, checked once per isolate. A wrong one is an error that names it, never its
 * value. Tenants' own settings are records: src/tenants/.
 */

import "./json/zod-messages.ts";
import * as z from "zod/mini";
import { GatewayError } from "./errors.ts";
import { refuseUrl } from "./runtime/public-url.ts";

const MASTER_KEY_BYTES = 32;
const MAX_LIMITS_CHARS = 2000;
const BYTES_PER_MB = 1024 * 1024;

const flag = flagOf("false");

function flagOf(fallback: "true" | "false") {
  return z.pipe(
    z._default(z.enum(["true", "false"], "must be true or false"), fallback),
    z.transform((value) => value === "true"),
  );
}

/** `name=value,name2=value2`, the form of OTEL_EXPORTER_OTLP_HEADERS; values may be percent-encoded. */
const headerList = z.pipe(
  z._default(z.string(), ""),
  z.transform((text, context) => {
    const headers: Record<string, string> = {};
    for (const pair of text.split(",").filter((part) => part.trim() !== "")) {
      const at = pair.indexOf("=");
      const name = pair.slice(0, Math.max(at, 0)).trim().toLowerCase();
      if (!/^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) {
        const message = "must be name=value pairs separated by commas";
        context.issues.push({ code: "custom", input: text, message });
        return z.NEVER;
      }
      headers[name] = decodeValue(pair.slice(at + 1).trim());
    }
    return headers;
  }),
);

/** A value that only looks percent-encoded is taken as it is. */
function decodeValue(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

const masterKey = z
  .string()
  .check(
    z.refine(
      (text) => decodedLength(text) === MASTER_KEY_BYTES,
      `must be ${MASTER_KEY_BYTES} bytes in base64`,
    ),
  );

const settingsSchema = z.object({
  ADMIN_TOKEN: z.optional(z.string().check(z.minLength(1))),
  MASTER_KEY: z.optional(masterKey),
  /** Before a change: opens already what it will seal once it is MASTER_KEY. */
  MASTER_KEY_NEXT: z.optional(masterKey),
  /** After a change: opens what MASTER_KEY has not sealed again yet. */
  MASTER_KEY_PREVIOUS: z.optional(masterKey),
  OTLP_ENDPOINT: z.optional(z.url({ protocol: /^https?$/, error: "must be an http(s) URL" })),
  OTLP_HEADERS: headerList,
  SERVICE_NAME: z._default(z.string().check(z.minLength(1)), "headgate"),
  CORS_ORIGINS: z.pipe(
    z._default(z.string(), ""),
    z.transform((text) =>
      text
        .split(",")
        .map((origin) => origin.trim())
        .filter((origin) => origin !== ""),
    ),
  ),
  UPSTREAM_ALLOW_PRIVATE: flag,
  CONTENT_CAPTURE: flagOf("true"),
  /** JSON of a tenant's `limits`; read by tenants/records/limit-rules.ts. */
  DEFAULT_LIMITS: z._default(z.string().check(z.maxLength(MAX_LIMITS_CHARS)), ""),
  MAX_LIMITS: z._default(z.string().check(z.maxLength(MAX_LIMITS_CHARS)), ""),
  /** Bytes of bodies that an isolate may hold at once; parsed they take four times as much of its 128 MB. */
  BODY_MEMORY_MB: z._default(
    z.coerce.number("must be a number").check(z.int(), z.minimum(1), z.maximum(1024)),
    24,
  ),
  DEV_TENANT: flag,
});

/** Every variable that is read; `npm start` passes these on. */
export const SETTING_NAMES: readonly string[] = Object.keys(settingsSchema.shape);

/** A token that opens everything must be beyond guessing; a local run is behind the loopback address. */
const MIN_ADMIN_TOKEN_CHARS = 24;

const checkedSettingsSchema = settingsSchema.check(
  z.superRefine((settings, context) => {
    const { ADMIN_TOKEN, DEV_TENANT, MASTER_KEY, MASTER_KEY_NEXT, MASTER_KEY_PREVIOUS } = settings;
    const { OTLP_ENDPOINT, UPSTREAM_ALLOW_PRIVATE } = settings;
    // OTLP_HEADERS goes there too, a credential as a rule.
    const refusal = OTLP_ENDPOINT && refuseUrl(OTLP_ENDPOINT, { allowPrivate: UPSTREAM_ALLOW_PRIVATE });
    if (refusal) context.addIssue({ code: "custom", path: ["OTLP_ENDPOINT"], message: refusal });
    if (!DEV_TENANT && ADMIN_TOKEN !== undefined && ADMIN_TOKEN.length < MIN_ADMIN_TOKEN_CHARS) {
      const message = `must have at least ${MIN_ADMIN_TOKEN_CHARS} characters`;
      context.addIssue({ code: "custom", path: ["ADMIN_TOKEN"], message });
    }
    if (MASTER_KEY === undefined && (MASTER_KEY_NEXT ?? MASTER_KEY_PREVIOUS) !== undefined) {
      const message = "must be set where MASTER_KEY_NEXT or MASTER_KEY_PREVIOUS is";
      context.addIssue({ code: "custom", path: ["MASTER_KEY"], message });
    }
  }),
);

/** One that is set twice, as between two steps of a change, counts once. */
function uniqueKeys(...keys: readonly (string | undefined)[]): readonly string[] {
  return [...new Set(keys.filter((key) => key !== undefined))];
}

function decodedLength(base64: string): number {
  try {
    return atob(base64).length;
  } catch {
    return -1;
  }
}

export interface Settings {
  readonly adminToken: string | undefined;
  /** Each 32 bytes in base64: MASTER_KEY, which seals the secrets in the records, then those that only open them. */
  readonly masterKeys: readonly string[];
  readonly otlpEndpoint: string | undefined;
  readonly otlpHeaders: Readonly<Record<string, string>>;
  readonly serviceName: string;
  /** Origins a browser may call from; `*` allows all. Empty: no CORS headers at all. */
  readonly corsOrigins: readonly string[];
  /** Upstream and OTLP URLs may be http and private. */
  readonly allowPrivateUpstreams: boolean;
  /** Whether tenants may have prompts and answers on their traces; false overrules every record. */
  readonly isContentAllowed: boolean;
  /** JSON of a tenant's `limits`: for tenants without their own, and what no record may exceed; empty for none. */
  readonly defaultLimits: string;
  readonly maxLimits: string;
  /** For all requests of an isolate together. */
  readonly bodyMemoryBytes: number;
  /** Set by `npm start`: local development with the demo tenant. */
  readonly isLocal: boolean;
}

/** Checks the environment; throws `unavailable` that names each wrong variable, never its value. */
export function readSettings(env: object): Settings {
  const known = Object.fromEntries(
    SETTING_NAMES.flatMap((name) => {
      const value: unknown = Reflect.get(env, name);
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
  const parsed = checkedSettingsSchema.safeParse(known);
  if (!parsed.success) {
    const faults = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
    throw new GatewayError("unavailable", `The gateway is misconfigured: ${faults.join("; ")}.`, {
      param: String(parsed.error.issues[0]?.path[0] ?? ""),
    });
  }
  const { data } = parsed;
  return {
    adminToken: data.ADMIN_TOKEN,
    masterKeys: uniqueKeys(data.MASTER_KEY, data.MASTER_KEY_NEXT, data.MASTER_KEY_PREVIOUS),
    otlpEndpoint: data.OTLP_ENDPOINT,
    otlpHeaders: data.OTLP_HEADERS,
    serviceName: data.SERVICE_NAME,
    corsOrigins: data.CORS_ORIGINS,
    allowPrivateUpstreams: data.UPSTREAM_ALLOW_PRIVATE,
    isContentAllowed: data.CONTENT_CAPTURE,
    defaultLimits: data.DEFAULT_LIMITS,
    maxLimits: data.MAX_LIMITS,
    bodyMemoryBytes: data.BODY_MEMORY_MB * BYTES_PER_MB,
    isLocal: data.DEV_TENANT,
  };
}

/** The master keys alone; none where the environment is wrong, which every request then reports. */
export function masterKeysOf(env: object): readonly string[] {
  try {
    return readSettings(env).masterKeys;
  } catch {
    return [];
  }
}
