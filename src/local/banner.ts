/** What `npm start` prints once the gateway is up: commands that work as they stand. Pure. */

import type { DemoTenant } from "./demo-tenant.ts";

interface Running {
  readonly url: string;
  readonly demo: DemoTenant;
  readonly adminToken: string;
}

export function describeGateway({ url, demo, adminToken }: Running): string {
  const ask = (body: string, flags: string): string =>
    `  curl ${flags} ${url}/v1/chat/completions \\
    -H 'authorization: Bearer ${demo.key}' \\
    -H 'content-type: application/json' \\
    -d '${body}'`;
  const real = demo.models.map((model) => `  ${model}`).join("\n");
  return `
Headgate is running on ${url}

  demo key      ${demo.key}
  admin token   ${adminToken}

Ask the demo route (it fails once, falls back, and answers; its model lives in the gateway):

${ask('{"model":"demo","messages":[{"role":"user","content":"Why is the sky blue?"}]}', "-i")}

The same as a stream:

${ask('{"model":"demo","stream":true,"messages":[{"role":"user","content":"Why is the sky blue?"}]}', "-iN")}

Where the time went: each answer's x-trace-id header names its trace. The newest ones, and one drawn:

  curl -H 'authorization: Bearer ${adminToken}' '${url}/admin/traces?tenant=demo&limit=5'
  curl -H 'authorization: Bearer ${adminToken}' -H 'accept: text/plain' ${url}/admin/traces/TRACE_ID
${real === "" ? "\nPut OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or OLLAMA_BASE_URL into .dev.vars to reach a real model.\n" : `\nReal models that are set up:\n\n${real}\n`}
Stop with Ctrl-C.
`;
}
