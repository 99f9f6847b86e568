/**
 * The admin API as the console calls it: same origin, by the session cookie. Nothing is kept here; a 401 leads to the
 * login page, which comes back to where it was called from.
 */

/** The API's own words for what went wrong (RFC 9457), or ours where it could not be reached. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** 0 where there was no answer. */
    readonly status: number,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

export async function getJson<Body>(path: string): Promise<Body> {
  const response = await callApi(path, { headers: { accept: "application/json" } });
  // The shapes of the admin API are part of its contract (src/docs/admin-api.md).
  return (await response.json()) as Body;
}

export async function sendJson<Body>(
  method: "POST" | "PUT" | "PATCH",
  path: string,
  body: unknown,
): Promise<Body> {
  const headers = { accept: "application/json", "content-type": "application/json" };
  const response = await callApi(path, { method, headers, body: JSON.stringify(body) });
  // As for `getJson`.
  return (await response.json()) as Body;
}

/** The whole of a resource's list, page after page; at most `limit` items. */
export async function listAll<Item>(path: string, limit = 500): Promise<readonly Item[]> {
  const items: Item[] = [];
  let cursor: string | null = null;
  do {
    const separator = path.includes("?") ? "&" : "?";
    const next: string = cursor === null ? path : `${path}${separator}cursor=${encodeURIComponent(cursor)}`;
    const page: ListPage<Item> = await getJson<ListPage<Item>>(next);
    items.push(...page.items);
    cursor = page.cursor;
  } while (cursor !== null && items.length < limit);
  return items;
}

export interface ListPage<Item> {
  readonly items: readonly Item[];
  readonly cursor: string | null;
}

/** Begins a session: from here on the browser sends the cookie by itself. Throws `ApiError` where the token opens nothing. */
export async function signIn(token: string): Promise<void> {
  await callApi("/admin/session", { method: "POST", headers: { authorization: `Bearer ${token}` } }, false);
}

export async function signOut(): Promise<void> {
  await callApi("/admin/session", { method: "DELETE" }, false);
  location.assign("/console/login");
}

export async function callApi(path: string, init: RequestInit, shouldSignIn = true): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, cache: "no-store" });
  } catch {
    throw new ApiError("The gateway did not answer. It may be down, or you may be offline.", 0);
  }
  if (response.status === 401 && shouldSignIn) {
    location.assign(`/console/login?back=${encodeURIComponent(location.pathname + location.search)}`);
    // The page is about to go: nothing is to be drawn meanwhile.
    await new Promise(() => undefined);
  }
  if (!response.ok) throw new ApiError(await problemOf(response), response.status);
  return response;
}

async function problemOf(response: Response): Promise<string> {
  try {
    const problem = (await response.json()) as { readonly detail?: unknown; readonly title?: unknown };
    if (typeof problem.detail === "string") return problem.detail;
    if (typeof problem.title === "string") return problem.title;
  } catch {
    // Not JSON: the status has to do.
  }
  return `The gateway answered ${response.status}.`;
}
