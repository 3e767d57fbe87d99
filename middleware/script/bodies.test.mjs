import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Browser, later, live, refusal, revoked, server as playServer } from "./browser.fake.mjs";
import { createFetch } from "./tokenlife.js";

let browser;
const server = (answers) => playServer(browser, answers);
beforeEach(() => {
  browser = new Browser().install();
  browser.serve = server();
});

const form = () => {
  const data = new FormData();
  data.append("name", "Ada");
  data.append("file", new Blob(["file's text"]), "a.txt");
  return data;
};
for (const [name, body, want] of [
  ["a string", () => "text", /^text$/],
  ["URLSearchParams", () => new URLSearchParams({ a: "1 2" }), /^a=1\+2$/],
  ["FormData", form, /name="name"\r\n\r\nAda\r\n[^]*a\.txt[^]*file's text/],
  ["a Blob", () => new Blob(["blob"]), /^blob$/],
  ["an ArrayBuffer", () => new TextEncoder().encode("buffer").buffer, /^buffer$/],
  ["a typed array", () => new TextEncoder().encode("array"), /^array$/],
  ["a DataView", () => new DataView(new TextEncoder().encode("view").buffer), /^view$/],
  ["no body", () => undefined, /^$/],
]) {
  for (const [how, args] of [
    ["init", (url, init) => [url, init]],
    ["a Request", (url, init) => [new Request(url, init)]],
  ]) {
    test(`${name} in ${how} is sent twice alike`, async () => {
      browser.marker = live("revoked");
      browser.serve = server({ api: revoked });
      const answer = await createFetch()(...args("/api", { method: "PUT", body: body(), headers: { "X-Own": "kept" } }));
      assert.equal(answer.status, 200);
      const [first, second] = browser.to("/api");
      for (const sent of [first, second]) {
        assert.match(sent.body, want);
        assert.equal(sent.method, "PUT");
        assert.equal(sent.request.headers.get("X-Own"), "kept");
      }
      assert.equal(first.body, second.body);
      assert.equal(first.request.headers.get("Content-Type"), second.request.headers.get("Content-Type"));
    });
  }
}

test("a stream waits for a refresh that is due, and is sent once", async () => {
  browser.serve = server({ api: refusal });
  const body = new Blob(["streamed"]).stream();
  const answer = await createFetch()("/api", { method: "POST", body, duplex: "half" });
  assert.equal(answer.status, 401);
  assert.deepEqual(browser.requests.map((r) => r.path), ["/auth/refresh", "/api"]);
  assert.equal(browser.requests[1].body, "streamed");
});

test("a stream in a Request is a body like any other", async () => {
  browser.marker = live("revoked");
  browser.serve = server({ api: revoked });
  const body = new Blob(["streamed"]).stream();
  const answer = await createFetch()(new Request("/api", { method: "POST", body, duplex: "half" }));
  assert.equal(answer.status, 200);
  assert.deepEqual(browser.to("/api").map((r) => r.body), ["streamed", "streamed"]);
});

test("a body is taken when the function is called", async () => {
  const going = later();
  browser.serve = server({ refresh: () => going.promise });
  const call = createFetch();
  const params = new URLSearchParams({ a: "1" });
  const bytes = new TextEncoder().encode("bytes");
  const calls = [call("/params", { method: "POST", body: params }), call("/bytes", { method: "POST", body: bytes })];
  params.set("a", "2");
  bytes.fill(0);
  going.resolve();
  await Promise.all(calls);
  assert.equal(browser.to("/params")[0].body, "a=1");
  assert.equal(browser.to("/bytes")[0].body, "bytes");
});
