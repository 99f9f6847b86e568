// The process behind gateway-process.ts: runs the built Worker in Miniflare with a direct socket, reports its URL and each line
// it logs over IPC, and ends when the parent disconnects. It decides nothing; its start message says everything.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare, type RemoteProxyConnectionString } from "miniflare";
import type { HostMessage, HostStart } from "./gateway-process.ts";
import { readWorkerConfig } from "./worker-bundle.ts";

const HOST = "127.0.0.1";
const GATEWAY = "headgate";

/**
 * A client that leaves before its answer has begun. workerd's own HTTP server notices a closed connection only when it writes to
 * it (measured: no signal, no cancellation while a handler awaits fetch or a Durable Object); the edge in front of a deployed
 * Worker does notice. A service binding cancels its callee as the edge does, so this Worker stands in for it: it passes a
 * request on and abandons it after `x-leave-after-ms`.
 */
const LEAVER = {
  name: "leaver",
  compatibilityDate: "2026-10-20",
  serviceBindings: { GATEWAY },
  modules: [
    {
      type: "ESModule" as const,
      path: "leaver.js",
      contents: `export default {
        async fetch(request, env) {
          const headers = new Headers(request.headers);
          const leaveAfterMs = Number(headers.get("x-leave-after-ms"));
          headers.delete("x-leave-after-ms");
          const body = await request.text();
          const signal = AbortSignal.timeout(leaveAfterMs);
          try {
            return await env.GATEWAY.fetch(request.url, { method: request.method, headers, body, signal });
          } catch (error) {
            return new Response(String(error), { status: 499 });
          }
        },
      };`,
    },
  ],
};

/** Another isolate of the gateway: the same code with memory of its own, over the first one's KV and objects. */
const TWIN = "headgate-twin";

process.once("message", (start: HostStart) => {
  void serve(start).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});

async function serve(start: HostStart): Promise<void> {
  const { vars, workerOptions } = readWorkerConfig(start.bundleDir);
  // Without the console's files: Miniflare would put its own router before the Worker, which resolves `..` in paths.
  const { assets: _, ...ofWorker } = workerOptions;
  const unsafeDirectSockets = [{ host: HOST, port: 0 }];
  const gateway = {
    ...ofWorker,
    name: GATEWAY,
    modules: readModules(start.bundleDir),
    modulesRoot: start.bundleDir,
    // Only what wrangler.toml and the test say: a developer's .dev.vars has no part in a test.
    bindings: { ...vars, ...start.vars },
    unsafeDirectSockets,
    // The runtime's own class behind the binding, as a deployment has it; only what is behind that is the test's.
    ...(start.aiUrl !== undefined && {
      ai: { binding: "AI", remoteProxyConnectionString: toProxyUrl(start.aiUrl) },
    }),
  };
  const twin = {
    ...gateway,
    name: TWIN,
    bindings: { ...gateway.bindings, ...start.twinVars },
    durableObjects: Object.fromEntries(
      Object.entries(workerOptions.durableObjects ?? {}).map(([name, object]) => [
        name,
        { ...Object(object), scriptName: GATEWAY },
      ]),
    ),
  };
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      workers: [gateway, { ...LEAVER, unsafeDirectSockets }, ...(start.hasTwin ? [twin] : [])],
      host: HOST,
      port: 0,
      cf: false,
      resourcePersistencePath: start.persistTo,
      handleStructuredLogs: ({ level, message }) => send({ type: "log", text: `[${level}] ${message}` }),
    }),
  );
  process.once("disconnect", () => void miniflare.dispose().finally(() => process.exit(0)));
  await miniflare.ready;
  const url = await miniflare.unsafeGetDirectURL(GATEWAY);
  const leaverUrl = await miniflare.unsafeGetDirectURL(LEAVER.name);
  const twinUrl = start.hasTwin ? (await miniflare.unsafeGetDirectURL(TWIN)).origin : "";
  send({ type: "ready", url: url.origin, leaverUrl: leaverUrl.origin, twinUrl });
}

/** Miniflare tells such a URL by a type of its own, which nothing makes. */
function toProxyUrl(url: string): RemoteProxyConnectionString {
  return new URL(url) as RemoteProxyConnectionString;
}

/** The built modules, the entry first; wrangler writes `worker.js` and, where imported, text and binary modules beside it. */
function readModules(
  bundleDir: string,
): { type: "ESModule" | "Text" | "Data" | "CompiledWasm"; path: string }[] {
  const files = readdirSync(bundleDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== "README.md" && !entry.name.endsWith(".map"))
    .map((entry) => join(entry.parentPath, entry.name));
  const entry = join(bundleDir, "worker.js");
  return [entry, ...files.filter((file) => file !== entry)].map((path) => ({
    type: moduleType(path),
    path,
    contents: readFileSync(path),
  }));
}

function moduleType(path: string): "ESModule" | "Text" | "Data" | "CompiledWasm" {
  if (path.endsWith(".js") || path.endsWith(".mjs")) return "ESModule";
  if (path.endsWith(".wasm")) return "CompiledWasm";
  return path.endsWith(".bin") ? "Data" : "Text";
}

function send(message: HostMessage): void {
  if (process.connected) process.send?.(message);
}
