import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Browser, later, live, refusal, revoked, server as playServer, settle, statuses, times } from "./browser.fake.mjs";
import { createFetch } from "./tokenlife.js";

let browser;
const server = (answers) => playServer(browser, answers);
beforeEach(() => {
  browser = new Browser().install();
  browser.serve = server();
});

for (const [name, failure, seconds] of [
  ["no answer", () => Promise.reject(new TypeError("network")), 2],
  ["503", () => new Response(null, { status: 503 }), 2],
  ["503 with Retry-After", () => new Response(null, { status: 503, headers: { "Retry-After": "7" } }), 7],
  ["503 that asks for an hour", () => new Response(null, { status: 503, headers: { "Retry-After": "3600" } }), 60],
  ["503 with a date", () => new Response(null, { status: 503, headers: { "Retry-After": "Fri, 20 Nov 2026 00:00:00 GMT" } }), 2],
  ["403", () => new Response(null, { status: 403 }), 2],
  ["404", () => new Response(null, { status: 404 }), 2],
  ["a page instead of cookies", () => new Response("<html>"), 2],
]) {
  test(`a refresh that comes to ${name} is not tried again for ${seconds} s, and ends no login`, async () => {
    browser.serve = server({ refresh: failure });
    const call = createFetch({ onSignedOut: assert.fail });
    assert.equal((await call("/api")).status, 200);
    assert.equal(await call.signedIn(), undefined);
    browser.now += seconds * 1000 - 1;
    assert.equal((await call("/api")).status, 200);
    assert.equal(browser.to("/auth/refresh").length, 1);
    browser.serve = server();
    browser.now += 1;
    assert.equal(await call.signedIn(), true);
    assert.equal(browser.to("/auth/refresh").length, 2);
  });
}

test("a 401 while the server cannot refresh is passed on, and asks again later", async () => {
  browser.marker = live("revoked");
  browser.serve = server({ refresh: () => new Response(null, { status: 503 }), api: revoked });
  const call = createFetch({ onSignedOut: assert.fail });
  assert.deepEqual(await statuses(times(5, () => call("/api"))), Array(5).fill(401));
  assert.equal((await call("/api")).status, 401);
  assert.equal(browser.to("/auth/refresh").length, 1);
  browser.serve = server({ api: revoked });
  browser.now += 2000;
  assert.equal((await call("/api")).status, 200);
});

/** What the server's answer to a refused refresh does: with the marker, or without. */
const refuse = (value) => () => {
  browser.marker = value;
  return refusal();
};

test("signed out: one refused refresh for all tabs, and then none", async () => {
  browser.serve = server({ refresh: refuse("0"), api: refusal });
  let told = 0;
  const tabs = times(3, () => createFetch({ onSignedOut: () => told++ }));
  const all = () => statuses(tabs.flatMap((call) => times(5, () => call("/api"))));
  assert.deepEqual(await all(), Array(15).fill(401));
  assert.deepEqual(await all(), Array(15).fill(401));
  assert.equal(browser.to("/auth/refresh").length, 1);
  assert.equal(told, 3);
  assert.deepEqual(await Promise.all(tabs.map((call) => call.signedIn())), [false, false, false]);
  assert.equal((await statuses([createFetch({ onSignedOut: assert.fail })("/api")]))[0], 401, "a tab opened later");
  assert.equal(browser.to("/auth/refresh").length, 1);
});

test("a refusal is remembered where the server leaves no marker", async () => {
  browser.serve = server({ refresh: refuse(""), api: refusal });
  const [one, two] = times(2, () => createFetch({ onSignedOut: assert.fail }));
  await one("/api");
  await settle();
  await one("/api");
  await two("/api");
  browser.now += 3600_000;
  await one("/api");
  assert.equal(browser.to("/auth/refresh").length, 1);
  assert.deepEqual([await one.signedIn(), await two.signedIn()], [false, false]);
});

test("a tab that has seen the login is told of a refusal without a marker, once", async () => {
  browser.marker = live("a");
  browser.serve = server({ refresh: refuse(""), api: refusal });
  const told = [0, 0, 0];
  const tabs = times(3, (i) => createFetch({ onSignedOut: () => told[i]++ }));
  await tabs[0].signedIn();
  await tabs[1].signedIn();
  browser.marker = "";
  await tabs[0]("/api");
  await settle();
  assert.deepEqual(told, [1, 1, 0], "the third has never seen it");
  await tabs[0]("/api");
  await tabs[1]("/api");
  assert.deepEqual(told, [1, 1, 0]);
  assert.equal(browser.to("/auth/refresh").length, 1);
});

test("a refusal with a live marker is remembered until there is another", async () => {
  browser.marker = live("ended elsewhere");
  browser.serve = server({ refresh: () => refusal(), api: refusal });
  const call = createFetch();
  await call("/api");
  await call("/api");
  assert.equal(browser.to("/auth/refresh").length, 1);
  assert.equal(browser.to("/api").length, 2, "nothing was gained that a retry could use");
  browser.marker = live("b");
  await call("/api");
  assert.equal(browser.to("/auth/refresh").length, 2);
});

for (const remembered of ["0", ""]) {
  test(`a new login ends what is remembered of a refusal with the marker "${remembered}"`, async () => {
    browser.serve = server({ refresh: refuse(remembered) });
    let told = 0;
    const call = createFetch({ onSignedOut: () => told++ });
    await call("/api");
    browser.marker = live("new");
    assert.equal(await call.signedIn(), true);
    browser.serve = server();
    browser.marker = "";
    assert.equal((await call("/api")).status, 200);
    assert.equal(browser.to("/auth/refresh").length, 2);
    browser.marker = "0";
    await call("/api");
    assert.equal(told, remembered === "0" ? 2 : 1, "each login's end is told once");
  });
}

test("a tab that waits for the lock while another signs out does not refresh", async () => {
  const going = later();
  browser.serve = server({ refresh: async () => (await going.promise, refuse("0")()) });
  const calls = [createFetch()("/a"), createFetch()("/b")];
  await settle();
  going.resolve();
  await Promise.all(calls);
  assert.equal(browser.to("/auth/refresh").length, 1);
});

test("a call that waits for the lock while another tab is refused is not sent again", async () => {
  browser.marker = live("revoked");
  const going = later();
  browser.serve = server({ refresh: async () => (await going.promise, refuse("0")()), api: refusal });
  const calls = [createFetch()("/a"), createFetch()("/b")];
  await settle();
  going.resolve();
  assert.deepEqual(await statuses(calls), [401, 401]);
  assert.deepEqual(browser.requests.map((r) => r.path).sort(), ["/a", "/auth/refresh", "/b"]);
});

test("signing out tells this tab and the others, each once", async () => {
  browser.marker = live("a");
  browser.serve = (sent) => {
    browser.marker = "0";
    assert.equal(`${sent.method} ${sent.path}`, "POST /bye");
    return new Response(null, { status: 204 });
  };
  const told = [0, 0, 0];
  const tabs = times(3, (i) => createFetch({ signOutURL: "/bye", onSignedOut: () => told[i]++ }));
  await tabs[0].signOut();
  await settle();
  assert.deepEqual(told, [1, 1, 1]);
  await tabs[0].signOut();
  document.dispatchEvent(new Event("visibilitychange"));
  cookieStore.dispatchEvent(new Event("change"));
  await settle();
  assert.deepEqual(told, [1, 1, 1]);
});

for (const [name, lacks, tabs] of [
  ["in this tab", [], 1],
  ["in another tab", [], 2],
  ["in this tab, without the Web Locks API", ["locks"], 1],
]) {
  test(`signing out waits for a refresh under way ${name}, which would bring cookies back`, async () => {
    browser.install(...lacks);
    const going = later();
    browser.serve = async (sent) => {
      if (sent.path === "/auth/refresh") await going.promise;
      if (sent.path !== "/api") browser.marker = sent.path === "/auth/logout" ? "0" : live("renewed");
      return new Response(null, { status: 204 });
    };
    const [one, two = one] = times(tabs, () => createFetch());
    const call = one("/api");
    await settle();
    const out = two.signOut();
    await settle();
    assert.equal(browser.to("/auth/logout").length, 0);
    going.resolve();
    await Promise.all([call, out]);
    assert.equal(browser.marker, "0");
    assert.equal(browser.to("/auth/logout").length, 1);
  });
}

test("signing out does not wait for longer than the time limit", async () => {
  browser.serve = (sent) => (sent.path === "/auth/logout" ? new Response(null, { status: 204 }) : new Promise(() => {}));
  const [one, two] = times(2, () => createFetch());
  one("/api");
  await settle();
  const out = two.signOut();
  await settle();
  assert.equal(browser.to("/auth/logout").length, 0);
  browser.limits.at(-1).end();
  await out;
  assert.equal(browser.to("/auth/logout").length, 1);
});

test("a sign-out that fails says so and leaves the login", async () => {
  browser.marker = live("a");
  const call = createFetch({ onSignedOut: assert.fail });
  browser.serve = () => new Response(null, { status: 503 });
  await assert.rejects(call.signOut(), /^Error: tokenlife: the sign-out was answered with 503$/);
  browser.serve = () => new Promise(() => {});
  const hanging = call.signOut();
  await settle();
  browser.limits.at(-1).end();
  await assert.rejects(hanging, { name: "TimeoutError" });
  assert.equal(await call.signedIn(), true);
});

test("a message of a tab that is behind ends no newer login", async () => {
  browser.marker = live("new");
  const call = createFetch({ onSignedOut: assert.fail });
  new BroadcastChannel("tokenLife").postMessage(true);
  await settle();
  browser.marker = "";
  await call("/api");
  assert.equal(browser.to("/auth/refresh").length, 1);
});

for (const [name, lacks, event] of [
  ["the cookie store", ["BroadcastChannel"], () => cookieStore.dispatchEvent(new Event("change"))],
  ["a tab that is looked at again", ["BroadcastChannel", "cookieStore"], () => document.dispatchEvent(new Event("visibilitychange"))],
]) {
  test(`a sign-out by a form is noticed by ${name}`, async () => {
    browser.marker = live("a");
    browser.install(...lacks);
    let told = 0;
    createFetch({ onSignedOut: () => told++ });
    browser.marker = "0";
    event();
    await settle();
    assert.equal(told, 1);
  });
}

test("a page that was loaded signed out asks nothing and is told nothing", async () => {
  browser.marker = "0";
  browser.serve = server({ api: refusal });
  const call = createFetch({ onSignedOut: assert.fail });
  assert.equal(await call.signedIn(), false);
  assert.equal((await call("/api")).status, 401);
  await settle();
  assert.deepEqual(browser.requests.map((r) => r.path), ["/api"]);
});

test("signedIn refreshes where that is due", async () => {
  const call = createFetch({ refreshURL: "/renew" });
  browser.serve = () => ((browser.marker = live("a")), new Response(null, { status: 204 }));
  assert.equal(await call.signedIn(), true);
  assert.equal(await call.signedIn(), true);
  assert.deepEqual(browser.requests.map((r) => r.path), ["/renew"]);
});

test("secondsLeft is what the marker and this clock say", () => {
  const call = createFetch();
  browser.now = 1_990_500;
  for (const [value, want] of [["", 0], ["0", 0], [live("a"), 9.5], ["1000.old", 0], ["garbage", 0]]) {
    browser.marker = value;
    assert.equal(call.secondsLeft(), want, value);
  }
});

test("an error of onSignedOut is the page's, and no call's", async () => {
  const tasks = [];
  const real = globalThis.queueMicrotask;
  globalThis.queueMicrotask = (task) => tasks.push(task);
  try {
    browser.serve = server({ refresh: refuse("0") });
    const call = createFetch({
      onSignedOut: () => {
        throw new Error("the page's");
      },
    });
    assert.equal((await call("/api")).status, 200);
  } finally {
    globalThis.queueMicrotask = real;
  }
  assert.equal(tasks.length, 1);
  assert.throws(tasks[0], /the page's/);
});
