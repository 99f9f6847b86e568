// Speaks to a test gateway's admin API (src/docs/admin-api.md), and holds the settings that such a gateway runs with; vitest.config.ts gives
// the same settings to the `worker` project.

/** The admin token of every test gateway. */
const TEST_ADMIN_TOKEN = "test-admin-token-of-this-gateway";

/** What a Worker needs to serve tests: admin plane open to the test token, upstreams on this machine allowed. */
export const TEST_VARS: Readonly<Record<string, string>> = {
  ADMIN_TOKEN: TEST_ADMIN_TOKEN,
  MASTER_KEY: Buffer.alloc(32, "headgate-test-master-key").toString("base64"),
  UPSTREAM_ALLOW_PRIVATE: "true",
};

export interface AdminPlane {
  /** Calls the admin plane: a whole path (`/admin/tenants/x`) and, where given, a JSON body. */
  admin(method: string, path: string, body?: unknown): Promise<Response>;
}

export function adminPlane(url: string): AdminPlane {
  return {
    admin: (method, path, body) =>
      fetch(url + path, {
        method,
        headers: { authorization: `Bearer ${TEST_ADMIN_TOKEN}`, "content-type": "application/json" },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
  };
}

/** What the admin plane answers, as an object; empty where it says nothing. Throws unless the status is a success. */
export async function adminJson(
  plane: AdminPlane,
  method: string,
  path: string,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const response = await plane.admin(method, path, body);
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}
