/** What `npm start` prints once the gateway is up: commands to copy. Pure. */

import type { DemoTenant } from "./demo-tenant.ts";

interface Running {
  readonly url: string;
  readonly demo: DemoTenant;
  readonly adminToken: string;
  readonly inspectorPort: number;
}

export function describeGateway({ url, demo, adminToken, inspectorPort }: Running): string {
  const ask = (body: string, flags: string): string =>
    `  curl ${flags} ${url}/v1/chat/completions \\
    -H 'authorization: Bearer ${demo.key}' \\
    -H 'content-type: application/json' \\
    -d '${body}'`;
  const real = demo.models.map((model) => `  ${model}`).join("\n");
  return `
Headgate is running on ${url}

  console       ${url}/console/login?back=/console/welcome#token=${encodeURIComponent(adminToken)}&key=${demo.key}
  demo key      ${demo.key}
  admin token   ${adminToken}
  debugger      localhost:${inspectorPort} (attach from chrome://inspect or your editor; --inspector-port chooses the port)

Call the demo route. Its first target fails every other time, then the second one answers; both are simulated in the gateway:

${ask('{"model":"demo","messages":[{"role":"user","content":"Why is the sky blue?"}]}', "-i")}

The same as a stream:

${ask('{"model":"demo","stream":true,"messages":[{"role":"user","content":"Why is the sky blue?"}]}', "-iN")}

See where the time went. The x-trace-id header of each answer names its trace. List the newest traces, and draw one:

  curl -H 'authorization: Bearer ${adminToken}' '${url}/admin/traces?tenant=demo&limit=5'
  curl -H 'authorization: Bearer ${adminToken}' -H 'accept: text/plain' ${url}/admin/traces/TRACE_ID
${real === "" ? "\nTo call real models, put OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or OLLAMA_BASE_URL into .dev.vars.\n" : `\nConfigured models:\n\n${real}\n`}
Stop with Ctrl-C.
`;
}
