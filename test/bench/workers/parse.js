// The floor of any gateway that looks inside: parses and re-stringifies the request, and the response where it is JSON.
export default {
  async fetch(request, env) {
    const body = JSON.stringify(await request.json());
    const upstream = await fetch(env.UPSTREAM + new URL(request.url).pathname, {
      method: "POST",
      headers: request.headers,
      body,
    });
    const isJson = upstream.headers.get("content-type")?.startsWith("application/json") ?? false;
    return isJson ? Response.json(await upstream.json()) : new Response(upstream.body, upstream);
  },
};
