/**
 * A configuration file: a gateway's tenants with their providers, routes and keys, in the fields of the records that the admin
 * API takes (src/docs/records.md). Pure.
 */

import * as z from "zod/mini";
import { labelText, recordName } from "../../tenants/records/record-name.ts";
import { keySchema, providerSchema, tenantSchema } from "../../tenants/records/records.ts";
import { routeSchema } from "../../tenants/records/route-record.ts";

const keyName = labelText.check(z.minLength(1), z.maxLength(200));
const { name: _, ...keyFields } = keySchema.shape;

export const configSchema = z.strictObject({
  tenants: z.record(
    recordName,
    z.strictObject({
      ...tenantSchema.shape,
      /** Each part that is absent is left as it is at the gateway. */
      providers: z.optional(z.record(recordName, providerSchema)),
      routes: z.optional(z.record(recordName, routeSchema)),
      /** By name. The keys themselves are made by the gateway and shown once. */
      keys: z.optional(z.record(keyName, z.strictObject(keyFields))),
    }),
  ),
});

export type GatewayConfig = z.infer<typeof configSchema>;
export type TenantConfig = GatewayConfig["tenants"][string];

/** JSON Schema of the file, for editors. */
export function configJsonSchema(): unknown {
  return {
    title: "Headgate configuration",
    ...z.toJSONSchema(configSchema, { io: "input", unrepresentable: "any" }),
  };
}
