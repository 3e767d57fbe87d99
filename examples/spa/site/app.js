// A single-page app. Its calls go by the fetch that tokenlife.js makes, and
// nothing else in here has to do with tokens: all below the first few lines is
// the app, and the panel that shows what happens.

import { createFetch } from "/auth/tokenlife.js";

const api = createFetch({
  refreshURL: "/auth/refresh",
  signOutURL: "/auth/logout",
  onSignedOut: () => {
    $("over").hidden = false;
    show("welcome");
  },
});

const $ = (id) => document.getElementById(id);
const figures = { calls: 0, failed: 0, refreshes: 0, tabs: 1 };

function show(view) {
  document.body.dataset.view = view; // style.css hides the other
  if (view === "welcome") $("user").focus();
}

function log(kind, words) {
  const line = document.createElement("li");
  line.dataset.kind = kind;
  line.textContent = `${new Date().toLocaleTimeString([], { hourCycle: "h23" })}  ${words}`;
  $("log").prepend(line);
  while ($("log").children.length > 100) $("log").lastChild.remove();
}

/** Calls the API and counts; the answer, or undefined where there is none. */
async function call(path, init) {
  const answer = await api(path, init).catch(() => undefined);
  figures.calls++;
  if (!answer?.ok) figures.failed++;
  draw();
  return answer;
}

/** Shows the app to whom it belongs to, or the form to everybody else. */
async function enter() {
  if (!(await api.signedIn())) return show("welcome");
  const answer = await call("/api/note");
  if (!answer?.ok) return show("welcome");
  const { name, note } = await answer.json();
  $("name").textContent = name;
  $("text").value = note;
  show("app");
}

async function burst(n) {
  const before = figures.refreshes;
  const answers = await Promise.all(Array.from({ length: n }, () => call("/api/note", { cache: "no-store" })));
  await seen(); // a request is on record a moment after its answer
  const good = answers.filter((answer) => answer?.ok).length;
  const mine = figures.refreshes - before;
  log(good === n ? "good" : "bad", `${n} calls, ${good} answered, ${mine ? `${mine} refresh by this tab` : "no refresh by this tab"}`);
}

$("signin").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("trouble").textContent = "";
  const answer = await fetch("/auth/login", { method: "POST", body: new URLSearchParams(new FormData($("signin"))) }).catch(() => undefined);
  if (!answer?.ok) {
    $("trouble").textContent = "That did not work. Please try again.";
    return;
  }
  $("over").hidden = true;
  log("good", "signed in");
  await enter();
});

$("signout").addEventListener("click", () => api.signOut().catch(() => log("bad", "not signed out: no answer")));
$("twenty").addEventListener("click", () => burst(20));
$("everywhere").addEventListener("click", () => {
  tabs.postMessage(20);
  burst(20);
});
$("takeback").addEventListener("click", async () => {
  const answer = await call("/api/take-back", { method: "POST" });
  if (answer?.ok) log("good", "the access token is refused from now on; the marker does not know");
});
$("note").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("saved").textContent = "";
  const answer = await call("/api/note", { method: "PUT", body: $("text").value });
  $("saved").textContent = answer?.ok ? "Saved." : "Not saved. Your text is still here.";
});

// The panel. Each tab holds a lock of its own kind, and so they can be counted.
const tabs = new BroadcastChannel("spa");
tabs.onmessage = ({ data }) => burst(data);
navigator.locks.request("spa", { mode: "shared" }, () => new Promise(() => {}));

let recorded = () => {};
const seen = () => Promise.race([new Promise((resolve) => (recorded = resolve)), new Promise((resolve) => setTimeout(resolve, 100))]);
new PerformanceObserver((list) => {
  figures.refreshes += list.getEntries().filter((entry) => entry.name.endsWith("/auth/refresh")).length;
  recorded();
  draw();
}).observe({ type: "resource", buffered: true });

function draw() {
  for (const [name, value] of Object.entries(figures)) $(name).textContent = value;
  const marker = /tokenLife=([^;]*)/.exec(document.cookie)?.[1];
  const state = marker === undefined ? "due" : marker === "0" ? "over" : "alive";
  document.body.dataset.marker = state;
  $("left").textContent = { due: "due", over: "signed out", alive: `${Math.ceil(api.secondsLeft())} s left` }[state];
  $("marker").textContent = marker === undefined ? "no marker: the next call refreshes" : `tokenLife=${marker}`;
}

setInterval(async () => {
  const { held } = await navigator.locks.query();
  figures.tabs = held.filter((lock) => lock.name === "spa").length;
  draw();
}, 250);

draw();
await enter();
