/**
 * The console's session: an admin token in a cookie that scripts can't read. It holds what `authorization` would, so each
 * request is checked in the same way, and a revoked token ends its sessions. Other sites' requests carry no such cookie
 * (SameSite=Strict), and middleware/admin-auth.ts refuses them besides.
 */

const MAX_AGE_S = 12 * 60 * 60;

/** `__Host-` binds the cookie to this host and to HTTPS, which a local run has not (RFC 6265bis, section 4.1.3.2). */
function nameOf(isLocal: boolean): string {
  return isLocal ? "headgate-session" : "__Host-headgate-session";
}

/** `Set-Cookie` of a new session; with an empty token, of its end. */
export function writeSession(token: string, isLocal: boolean): string {
  const age = token === "" ? 0 : MAX_AGE_S;
  const secure = isLocal ? "" : "; Secure";
  return `${nameOf(isLocal)}=${encodeURIComponent(token)}; Path=/; Max-Age=${age}; HttpOnly; SameSite=Strict${secure}`;
}

/** The token of a session; undefined without one. */
export function readSession(cookies: string | undefined, isLocal: boolean): string | undefined {
  const start = `${nameOf(isLocal)}=`;
  const value = cookies
    ?.split("; ")
    .find((cookie) => cookie.startsWith(start))
    ?.slice(start.length);
  if (value === undefined || value === "") return undefined;
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}
