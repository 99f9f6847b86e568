// The floor: passes the request on and the response back, untouched. Served by test/bench beside the gateway.
export default {
  fetch(request, env) {
    return fetch(env.UPSTREAM + new URL(request.url).pathname, request);
  },
};
