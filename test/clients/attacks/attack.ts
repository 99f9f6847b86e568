// What an attack is: one request that must be refused, or whose dangerous part must not get through. The same data makes the tests
// (attacks.test.ts) and the table in src/docs/security.md (table.ts).

/** How the gateway runs: as other tests need it, as it is deployed (public addresses only), or as `npm start` runs it. */
export type Setting = "open" | "deployed" | "local";

export type Refusal =
  /** No model is called. `code` is compared where the error's form has one. */
  | { readonly kind: "refused"; readonly status: number; readonly code: string }
  /** The request goes to the address in the tenant's record, wherever else it points. */
  | { readonly kind: "sent to the account" }
  /** The request is answered, and the vendor gets no such header. */
  | { readonly kind: "not sent on"; readonly header: string }
  /** The request is answered, and the client gets no such header. */
  | { readonly kind: "not sent back"; readonly header: string }
  /** The request is answered; this is in no part of the answer. */
  | { readonly kind: "not shown"; readonly text: string };

/**
 * Strings may hold `{key}` (the attacker's own gateway key, tenant `{tenant}`), `{limited}` (one for few models), `{victim}` and
 * `{victimKeyId}` (another tenant and its key), `{admin}` (the operator's token), `{unknown}` (a well-formed key that does not
 * exist), `{host}`, `{upstream}` and `{credential}` (the vendor's address and what it is paid with).
 */
export interface Attack {
  /** What is tried. Each once. */
  readonly attack: string;
  readonly setting?: Setting;
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: object | string;
  readonly refusal: Refusal;
}

export interface AttackChapter {
  readonly title: string;
  /** Where its attacks stand. */
  readonly file: string;
  readonly attacks: readonly Attack[];
}

export const refused = (status: number, code: string): Refusal => ({ kind: "refused", status, code });
export const NO_KEY = refused(401, "invalid_api_key");
export const BAD_REQUEST = refused(400, "invalid_request");
export const DENIED = refused(403, "permission_denied");
export const NO_PATH = refused(404, "not_found");

export const asClient = { authorization: "Bearer {key}" } as const;
export const asOperator = { authorization: "Bearer {admin}" } as const;

export const CHAT = { model: "up/small", messages: [{ role: "user", content: "hi" }] } as const;
