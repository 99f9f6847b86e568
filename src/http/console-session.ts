/**
 * The console's session: an admin token, sealed in a cookie that scripts can't read. Nothing is stored: the seal holds when the
 * session ends, and each request is checked with the token inside, so that a revoked or changed token ends its sessions. Other
 * sites' requests carry no such cookie (SameSite=Strict), and middleware/admin-auth.ts refuses them besides.
 */

import { sha256 } from "../bytes/digest.ts";
import type { Settings } from "../config.ts";
import { type MasterKeys, openSecret, sealSecret, type SecretPlace } from "../tenants/records/sealing.ts";

const MAX_AGE_S = 12 * 60 * 60;
const MS_PER_SECOND = 1000;

type SessionSettings = Pick<Settings, "isLocal" | "masterKeys" | "adminToken">;

/** `Set-Cookie` of a new session. `now` is ms since the epoch. */
export async function beginConsoleSession(
  token: string,
  settings: SessionSettings,
  now: number,
): Promise<string> {
  const { isLocal } = settings;
  const text = `${now + MAX_AGE_S * MS_PER_SECOND} ${token}`;
  return toCookie(await sealSecret(text, placeOf(isLocal), await keysOf(settings)), MAX_AGE_S, isLocal);
}

/** `Set-Cookie` of its end. */
export function endConsoleSession(isLocal: boolean): string {
  return toCookie("", 0, isLocal);
}

/** The token of a session; undefined without one, and for one that is over or was not sealed here. */
export async function readConsoleSession(
  cookies: string | undefined,
  settings: SessionSettings,
  now: number,
): Promise<string | undefined> {
  const { isLocal } = settings;
  const start = `${nameOf(isLocal)}=`;
  const sealed = cookies
    ?.split("; ")
    .find((cookie) => cookie.startsWith(start))
    ?.slice(start.length);
  if (sealed === undefined || sealed === "") return undefined;
  try {
    const text = await openSecret(sealed, placeOf(isLocal), await keysOf(settings));
    const space = text.indexOf(" ");
    return Number(text.slice(0, space)) > now ? text.slice(space + 1) : undefined;
  } catch {
    return undefined;
  }
}

/** `__Host-` binds the cookie to this host and to HTTPS, which a local run has not (RFC 6265bis, section 4.1.3.2). */
function nameOf(isLocal: boolean): string {
  return isLocal ? "headgate-session" : "__Host-headgate-session";
}

/** What a sealed text is made of, a cookie may hold as it is (RFC 6265, section 4.1.1). */
function toCookie(value: string, ageS: number, isLocal: boolean): string {
  const secure = isLocal ? "" : "; Secure";
  return `${nameOf(isLocal)}=${value}; Path=/; Max-Age=${ageS}; HttpOnly; SameSite=Strict${secure}`;
}

/** No record has such a place: neither opens as the other. */
function placeOf(isLocal: boolean): SecretPlace {
  return { tenantId: "", kind: "console.session", name: nameOf(isLocal), audience: "console" };
}

/** A deployment without MASTER_KEY has one secret. */
async function keysOf({ masterKeys, adminToken = "" }: SessionSettings): Promise<MasterKeys> {
  if (masterKeys.length > 0) return masterKeys;
  return [btoa(String.fromCharCode(...(await sha256(`headgate console session ${adminToken}`))))];
}
