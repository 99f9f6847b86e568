/** THE ROUTE TABLE: every method, path and middleware on one screen. */

import { type App, createRouter } from "../src/http/router.ts";
import { generation } from "../src/http/generation.ts";
import { adminAccess } from "../src/middleware/admin-access.ts";
import { adminAuth, adminReadAuth } from "../src/middleware/admin-auth.ts";
import { authenticate } from "../src/middleware/authenticate.ts";
import { cors } from "../src/middleware/cors.ts";
import { endpoint } from "../src/middleware/endpoint.ts";
import { localHost } from "../src/middleware/local-host.ts";
import { createNotFound } from "../src/middleware/method-guard.ts";
import { onError } from "../src/middleware/on-error.ts";
import { requestScope, type ScopePorts } from "../src/middleware/request-scope.ts";
import { anthropicMessages } from "../src/wires/anthropic/client-wire.ts";
import { openAiChat } from "../src/wires/openai-chat/client-wire.ts";
import { openAiEmbeddings } from "../src/wires/openai-embeddings/client-wire.ts";
import { openAiResponses } from "../src/wires/openai-responses/client-wire.ts";
import { ACCESS } from "./access.ts";
import { ADMIN_ROUTERS } from "./admin/index.ts";
import { countMessageTokens } from "./count-tokens.ts";
import { forwarded } from "./forwarded.ts";
import { geminiMethod } from "./gemini.ts";
import { health } from "./health.ts";
import { jaeger } from "./jaeger.ts";
import { metrics } from "./metrics.ts";
import { getModel, listModels } from "./models.ts";
import { proxyNative } from "./proxy.ts";
import { openRealtime } from "./realtime.ts";
import { vendorObjects } from "./stored-objects.ts";

export function createApp(ports: ScopePorts): App {
  const app = createRouter();
  app.onError(onError);
  app.use("*", requestScope(ports), localHost);

  app.get("/healthz", health);

  // Data plane: a gateway key is needed.
  app.use("/v1/*", cors, authenticate);
  app.post("/v1/chat/completions", endpoint("chat"), generation(openAiChat));
  app.post("/v1/completions", endpoint("completions"), forwarded("/completions", "text_completion"));
  app.post("/v1/responses", endpoint("responses"), generation(openAiResponses));
  app.post("/v1/embeddings", endpoint("embeddings"), generation(openAiEmbeddings));
  app.post("/v1/messages", endpoint("messages"), generation(anthropicMessages));
  app.post("/v1/messages/count_tokens", endpoint("messages"), countMessageTokens);
  app.route("/v1", vendorObjects);
  for (const path of ["/images/generations", "/images/edits", "/images/variations"]) {
    app.post(`/v1${path}`, endpoint("images"), forwarded(path, "image_generation"));
  }
  app.post("/v1/audio/speech", endpoint("audio"), forwarded("/audio/speech", "speech"));
  for (const path of ["/audio/transcriptions", "/audio/translations"])
    app.post(`/v1${path}`, endpoint("audio"), forwarded(path, "transcription"));
  app.post("/v1/moderations", endpoint("moderations"), forwarded("/moderations", "moderation"));
  app.post("/v1/rerank", endpoint("rerank"), forwarded("/rerank", "rerank"));
  app.get("/v1/realtime", endpoint("realtime"), openRealtime);
  app.get("/v1/models", endpoint("models"), listModels);
  app.get("/v1/models/:model{.+}", endpoint("models"), getModel);
  // Google's SDKs of version 3 call their methods under /v1.
  app.post("/v1/models/:call{.+}", endpoint("gemini"), geminiMethod);
  app.use("/v1beta/*", cors, authenticate);
  app.get("/v1beta/models", endpoint("models"), listModels);
  app.get("/v1beta/models/:model{.+}", endpoint("models"), getModel);
  app.post("/v1beta/:call{.+}", endpoint("gemini"), geminiMethod);
  app.use("/proxy/*", cors, authenticate);
  app.all("/proxy/:provider/:path{.+}", endpoint("native"), proxyNative);

  // Admin plane: a token is needed whose role may do it.
  const access = adminAccess(ACCESS);
  app.use("/admin/*", adminAuth, access);
  for (const router of ADMIN_ROUTERS) app.route("/admin", router);
  app.use("/metrics/*", adminReadAuth, access);
  app.get("/metrics", metrics);
  app.use("/jaeger/*", adminReadAuth, access);
  app.route("/jaeger/api", jaeger);

  app.notFound(createNotFound(app));
  return app;
}
