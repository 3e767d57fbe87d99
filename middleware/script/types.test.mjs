import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { beforeEach, test } from "node:test";
import { Browser } from "./browser.fake.mjs";
import { createFetch } from "./tokenlife.js";

// The types are written by hand. What they tell is held against the module.
const types = await readFile(new URL("tokenlife.d.ts", import.meta.url), "utf8");

/** The names of an interface's members. */
function members(name) {
  const [, body] = new RegExp(`interface ${name} {\n([^]*?)\n}`).exec(types);
  return [...body.matchAll(/^  (\w+)\??[:(]/gm)].map(([, member]) => member).sort();
}

let browser;
beforeEach(() => {
  browser = new Browser().install();
  browser.serve = () => new Response(null, { status: 204 });
});

test("the types have the methods that there are", () => {
  assert.deepEqual(members("Fetch"), Object.keys(createFetch()).sort());
});

test("the types have the options that are asked for", () => {
  const asked = [];
  createFetch(new Proxy({}, { get: (_, name) => void asked.push(name) }));
  assert.deepEqual(members("Options"), asked.sort());
});

test("the defaults are those that the types tell", async () => {
  const call = createFetch();
  await call.signedIn();
  await call.signOut();
  const told = [...types.matchAll(/Default ("\S+"|\d+)\./g)].map(([, value]) => JSON.parse(value));
  assert.deepEqual(told, [...browser.requests.map((r) => r.path), browser.limits[0].ms]);
});
