/**
 * `/v1/files`, `/v1/batches`, `/v1/messages/batches` and `/v1/responses/{id}`: what a vendor keeps for a tenant, passed on to the
 * account that holds it.
 */

import { createRouter } from "../src/http/router.ts";
import { createIn, listIn, oneOf } from "../src/http/stored-objects.ts";
import { endpoint } from "../src/middleware/endpoint.ts";

export const vendorObjects = createRouter();

vendorObjects.get("/responses/:id", endpoint("responses"), oneOf("responses", "GET"));
vendorObjects.delete("/responses/:id", endpoint("responses"), oneOf("responses", "DELETE"));
vendorObjects.post("/responses/:id/cancel", endpoint("responses"), oneOf("responses", "POST", "cancel"));
vendorObjects.get(
  "/responses/:id/input_items",
  endpoint("responses"),
  oneOf("responses", "GET", "input_items"),
);

vendorObjects.post("/files", endpoint("files"), createIn("files"));
vendorObjects.get("/files", endpoint("files"), listIn("files"));
vendorObjects.get("/files/:id", endpoint("files"), oneOf("files", "GET"));
vendorObjects.get("/files/:id/content", endpoint("files"), oneOf("files", "GET", "content"));
vendorObjects.delete("/files/:id", endpoint("files"), oneOf("files", "DELETE"));

// OpenAI's and Anthropic's.
for (const batches of ["batches", "messages/batches"] as const) {
  vendorObjects.post(`/${batches}`, endpoint("batches"), createIn(batches));
  vendorObjects.get(`/${batches}`, endpoint("batches"), listIn(batches));
  vendorObjects.get(`/${batches}/:id`, endpoint("batches"), oneOf(batches, "GET"));
  vendorObjects.post(`/${batches}/:id/cancel`, endpoint("batches"), oneOf(batches, "POST", "cancel"));
}
const messageBatch = "/messages/batches/:id";
vendorObjects.delete(messageBatch, endpoint("batches"), oneOf("messages/batches", "DELETE"));
vendorObjects.get(
  `${messageBatch}/results`,
  endpoint("batches"),
  oneOf("messages/batches", "GET", "results"),
);
