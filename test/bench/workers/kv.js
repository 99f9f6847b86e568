// A KV namespace for plain `workerd serve`, which brings none: workerd's binding speaks HTTP to this Worker, which keeps a Map.
// Nothing expires by itself and nothing is eventual; the cost of real KV is not what the bench measures.
const entries = new Map();

export default {
  async fetch(request) {
    const url = new URL(request.url);
    const key = decodeURIComponent(url.pathname.slice(1));
    if (request.method === "PUT") {
      const ttlSeconds = Number(url.searchParams.get("expiration_ttl") ?? Number.POSITIVE_INFINITY);
      entries.set(key, {
        value: await request.arrayBuffer(),
        metadata: request.headers.get("cf-kv-metadata"),
        expiresAt: Date.now() + ttlSeconds * 1000,
      });
      return new Response(null);
    }
    if (request.method === "DELETE") {
      entries.delete(key);
      return new Response(null);
    }
    if (key === "") return list(url.searchParams.get("prefix") ?? "");
    const entry = entries.get(key);
    if (entry === undefined || entry.expiresAt < Date.now())
      return new Response("Not Found", { status: 404 });
    return new Response(entry.value, {
      headers: entry.metadata === null ? {} : { "cf-kv-metadata": entry.metadata },
    });
  },
};

function list(prefix) {
  const keys = [...entries.keys()].filter((name) => name.startsWith(prefix)).sort();
  return Response.json({ keys: keys.map((name) => ({ name })), list_complete: true });
}
