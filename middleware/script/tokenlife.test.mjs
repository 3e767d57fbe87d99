import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Browser, later, live, origin, refusal, revoked, server as playServer, settle, statuses, times } from "./browser.fake.mjs";
import { createFetch } from "./tokenlife.js";

let browser;
const server = (answers) => playServer(browser, answers);
beforeEach(() => {
  browser = new Browser().install();
  browser.serve = server();
});

test("a call with a live marker is sent as it is", async () => {
  browser.marker = live("a");
  const answer = await createFetch()("/api");
  assert.equal(await answer.text(), "yes");
  assert.deepEqual(browser.requests.map((r) => r.path), ["/api"]);
});

test("twenty calls without a marker are one refresh, and wait for it", async () => {
  const call = createFetch();
  assert.deepEqual(await statuses(times(20, () => call("/api"))), Array(20).fill(200));
  assert.equal(browser.to("/auth/refresh").length, 1);
  assert.equal(browser.requests[0].method, "POST");
  assert.ok(browser.requests[0].keepalive, "a tab that is closed loses its cookies");
  assert.deepEqual([...new Set(browser.to("/api").map((r) => r.marker))], [live("1")]);
});

test("three tabs with twenty calls each are one refresh", async () => {
  const tabs = times(3, () => createFetch());
  assert.deepEqual(await statuses(tabs.flatMap((call) => times(20, () => call("/api")))), Array(60).fill(200));
  assert.equal(browser.to("/auth/refresh").length, 1);
});

test("without the Web Locks API each tab refreshes for itself", async () => {
  browser.install("locks");
  const tabs = times(3, () => createFetch());
  assert.deepEqual(await statuses(tabs.map((call) => call("/api"))), [200, 200, 200]);
  assert.equal(browser.to("/auth/refresh").length, 3);
});

test("a second expiry is a second refresh", async () => {
  const call = createFetch();
  await call("/api");
  browser.marker = "";
  await call("/api");
  assert.equal(browser.to("/auth/refresh").length, 2);
});

test("a 401 in spite of a live marker is one refresh and one retry, in every tab", async () => {
  browser.marker = live("revoked");
  browser.serve = server({ api: revoked });
  const tabs = times(3, () => createFetch());
  assert.deepEqual(await statuses(tabs.flatMap((call) => times(20, () => call("/api")))), Array(60).fill(200));
  assert.equal(browser.to("/auth/refresh").length, 1);
  assert.equal(browser.to("/api").length, 120);
});

test("a 401 that comes after another call's refresh is only retried", async () => {
  browser.marker = live("revoked");
  const slow = later();
  browser.serve = server({
    api: async (sent) => {
      if (sent.path === "/slow" && sent.marker === live("revoked")) await slow.promise;
      return revoked(sent);
    },
  });
  const call = createFetch();
  const waiting = call("/slow");
  assert.equal((await call("/api")).status, 200);
  slow.resolve();
  assert.equal((await waiting).status, 200);
  assert.equal(browser.to("/auth/refresh").length, 1);
});

test("the body of an answer that is not passed on is let go", async () => {
  browser.marker = live("revoked");
  let cancelled = 0;
  const long = () => new ReadableStream({ cancel: () => void cancelled++ });
  const { status, headers } = refusal();
  browser.serve = server({ api: (sent) => (revoked(sent).ok ? new Response("yes") : new Response(long(), { status, headers })) });
  assert.equal((await createFetch()("/api")).status, 200);
  assert.equal(cancelled, 1);
});

test("an answer that is lost while a refresh is under way is no error of anybody's", async () => {
  browser.marker = live("revoked");
  let lost;
  const body = new ReadableStream({ start: (controller) => (lost = () => controller.error(new TypeError("network"))) });
  const { status, headers } = refusal();
  browser.serve = server({ refresh: () => lost(), api: (sent) => (revoked(sent).ok ? new Response("yes") : new Response(body, { status, headers })) });
  assert.equal((await createFetch()("/api")).status, 200);
  await settle(); // an unhandled rejection fails this test
});

test("a keepalive request is sent again without that, for its body would be counted twice", async () => {
  browser.marker = live("revoked");
  browser.serve = server({ api: revoked });
  assert.equal((await createFetch()("/api", { method: "POST", body: "saved", keepalive: true })).status, 200);
  assert.deepEqual(browser.to("/api").map((r) => [r.keepalive, r.body]), [[true, "saved"], [false, "saved"]]);
});

test("a call is retried once, and a 401 that stays costs one refresh", async () => {
  browser.marker = live("a");
  browser.serve = server({ api: refusal });
  const call = createFetch();
  assert.equal((await call("/api")).status, 401);
  assert.equal((await call("/api")).status, 401);
  assert.equal(browser.to("/auth/refresh").length, 1);
  assert.equal(browser.to("/api").length, 3);
  browser.marker = live("b"); // renewed in the course of some other call
  assert.equal((await call("/api")).status, 401);
  assert.equal(browser.to("/auth/refresh").length, 2);
});

for (const [name, method, challenge, sent] of [
  ["a GET", "GET", null, 2],
  ["a HEAD", "HEAD", "Basic", 2],
  ["a POST where a token is asked for", "POST", 'Bearer realm="api"', 2],
  ["a POST where a token is asked for among others", "POST", "Basic, bearer", 2],
  ["a POST that says nothing, as of a sign-in form", "POST", null, 1],
  ["a DELETE with another challenge", "DELETE", "Basic", 1],
]) {
  test(`answered with 401, sent ${sent} times: ${name}`, async () => {
    browser.marker = live("a");
    const headers = challenge ? { "WWW-Authenticate": challenge } : {};
    browser.serve = server({ api: () => new Response(null, { status: 401, headers }) });
    await createFetch()("/api", { method });
    assert.equal(browser.to("/api").length, sent);
    assert.equal(browser.to("/auth/refresh").length, sent - 1);
  });
}

for (const status of [200, 204, 400, 403, 404, 500, 503]) {
  test(`an answer of ${status} is passed on`, async () => {
    browser.marker = live("a");
    browser.serve = server({ api: () => new Response(null, { status }) });
    assert.equal((await createFetch()("/api")).status, status);
    assert.equal(browser.requests.length, 1);
  });
}

for (const [name, input, init] of [
  ["another origin", "https://other.example/api", {}],
  ["another port", `${origin}:444/api`, {}],
  ["a request without credentials", "/api", { credentials: "omit" }],
  ["a request with a token of its own", "/api", { headers: { Authorization: "Bearer own" } }],
]) {
  test(`left alone: ${name}`, async () => {
    browser.serve = server({ api: refusal });
    assert.equal((await createFetch()(input, init)).status, 401);
    assert.equal(browser.requests.length, 1);
  });
}

test("left alone: everything where there is no document", async () => {
  browser.install("document", "origin", "BroadcastChannel", "cookieStore");
  const call = createFetch({ onSignedOut: assert.fail });
  const input = new URL("/api", origin);
  assert.equal((await call(input)).status, 200);
  assert.equal(browser.requests.length, 1);
  assert.equal(browser.requests[0].input, input);
  assert.equal(call.secondsLeft(), 0);
  assert.equal(await call.signedIn(), undefined);
});

test("left alone: everything in a sandbox, where a look at the cookies is an error", async () => {
  globalThis.origin = "null";
  globalThis.document = { get cookie() { throw new DOMException("sandboxed", "SecurityError"); } };
  const call = createFetch();
  assert.equal((await call("/api")).status, 200);
  assert.equal(await call.signedIn(), undefined);
  assert.equal(browser.requests.length, 1);
});

test("a keepalive request does not wait for a refresh", async () => {
  await createFetch()("/api", { method: "POST", body: "bye", keepalive: true });
  assert.deepEqual(browser.requests.map((r) => r.path), ["/api"]);
});

test("what fetch refuses is refused as fetch does", async () => {
  await assert.rejects(createFetch()("/api", { body: "a GET has none" }), TypeError);
  await assert.rejects(createFetch()("https://[", {}), TypeError);
  assert.equal(browser.requests.length, 0);
});

test("abort while a refresh is under way stops that call alone", async () => {
  const going = later();
  browser.serve = server({ refresh: () => going.promise });
  const call = createFetch();
  const abort = new AbortController();
  const stopped = call("/stopped", { signal: abort.signal });
  const other = call("/api");
  await settle();
  abort.abort(new Error("enough"));
  await assert.rejects(stopped, /^Error: enough$/);
  assert.ok(!browser.to("/auth/refresh")[0].request.signal.aborted);
  going.resolve();
  assert.equal((await other).status, 200);
  assert.equal(browser.to("/auth/refresh").length, 1);
  assert.equal(browser.to("/stopped").length, 0);
});

test("abort while the refresh after a 401 is under way stops the retry", async () => {
  browser.marker = live("revoked");
  const going = later();
  browser.serve = server({ refresh: () => going.promise, api: revoked });
  const abort = new AbortController();
  const stopped = createFetch()(new Request("/api", { signal: abort.signal }));
  await settle();
  assert.equal(browser.to("/auth/refresh").length, 1);
  abort.abort();
  await assert.rejects(stopped, { name: "AbortError" });
  going.resolve();
  await settle();
  assert.equal(browser.to("/api").length, 1);
});

test("a signal that was aborted before sends nothing, and does not wait", async () => {
  browser.serve = server({ refresh: () => new Promise(() => {}) });
  await assert.rejects(createFetch()("/api", { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(browser.to("/api").length, 0);
});

test("abort during the call itself reaches it", async () => {
  browser.marker = live("a");
  browser.serve = () => new Promise(() => {});
  const abort = new AbortController();
  const stopped = createFetch()("/api", { signal: abort.signal });
  await settle();
  abort.abort();
  await assert.rejects(stopped, { name: "AbortError" });
});

test("the time limit ends a refresh, and the call goes on", async () => {
  browser.serve = server({ refresh: () => new Promise(() => {}) });
  const call = createFetch({ timeout: 700 });
  const waiting = call("/api");
  await settle();
  assert.equal(browser.limits[0].ms, 700);
  browser.limits[0].end();
  assert.equal((await waiting).status, 200);
  assert.equal(browser.to("/api").length, 1);
  assert.ok(!browser.to("/api")[0].request.signal.aborted);
});

test("the time limit ends the wait for another tab's refresh as well", async () => {
  browser.serve = server({ refresh: () => new Promise(() => {}) });
  const calls = [createFetch()("/a"), createFetch()("/b")];
  await settle();
  browser.limits[1].end();
  assert.equal((await calls[1]).status, 200);
  assert.equal(browser.to("/auth/refresh").length, 1);
});

test("no global is changed, and fetch is the page's own at the time of the call", async () => {
  browser.marker = live("a");
  const before = Object.getOwnPropertyNames(globalThis);
  const call = createFetch();
  globalThis.fetch = async () => new Response("instrumented");
  assert.equal(await (await call("/api")).text(), "instrumented");
  assert.deepEqual(Object.getOwnPropertyNames(globalThis), before);
});
