/** `keys`: a tenant's gateway keys. */

import { CommandError } from "../command-error.ts";
import { callJson, type Connection, listRecords } from "../connection.ts";
import { table } from "../output.ts";
import type { RunCommand } from "./command.ts";

export const keysCommand: RunCommand = async ({ positionals, options, connection, print }) => {
  const [tenant, action, subject] = positionals;
  if (tenant === undefined) throw new CommandError("Name the tenant.");
  const path = `/admin/tenants/${encodeURIComponent(tenant)}/keys`;
  if (action === undefined) {
    print(await keyTable(connection(), path));
    return 0;
  }
  if (subject === undefined) throw new CommandError(`Name the key: keys ${tenant} ${action} …`);
  const at = `${path}/${encodeURIComponent(subject)}`;
  if (action === "create") {
    const made = await callJson(connection(), "POST", path, { name: subject });
    print(`${String(made["id"])}\n${String(made["key"])}   (shown this once)`);
  } else if (action === "rotate") {
    const overlapSeconds = Number(options["overlap"] ?? 0);
    const rotated = await callJson(connection(), "POST", `${at}/rotate`, { overlapSeconds });
    print(`${String(rotated["key"])}   (shown this once)`);
  } else if (action === "revoke") {
    await callJson(connection(), "DELETE", at);
    print(`${subject} is revoked.`);
  } else {
    throw new CommandError(`keys has no "${action}". Use create, revoke or rotate.`);
  }
  return 0;
};

async function keyTable(connection: Connection, path: string): Promise<string> {
  const keys = await listRecords(connection, path);
  if (keys.length === 0) return "There are no keys.";
  return table([
    ["ID", "NAME", "STATUS", "LAST USED"],
    ...keys.map((key) => [
      String(key["id"]),
      String(key["name"]),
      String(key["status"]),
      typeof key["lastUsedAt"] === "string" ? key["lastUsedAt"] : "not recently",
    ]),
  ]);
}
