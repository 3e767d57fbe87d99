// The page of the quick start. The tokens are HttpOnly: all that a script can
// see of the login is the marker, the cookie tokenLife. Its value is
// "<end of the access token, Unix seconds>.<generation>", another at every
// renewal; it is absent when the next calls will renew the login, and "0" when
// there is no login any more.
//
// Nothing here is needed to stay signed in: the server renews the login in the
// course of any call. This script only makes visible what happens.

const app = document.getElementById("app");
const $ = (id) => document.getElementById(id);

const life = Number(app.dataset.life) * 1000;
let offset = Number(app.dataset.now) - Date.now(); // the server's clock less this one's
let seen = marker(); // the newest marker that has been accounted for
let over = false; // signed out
let pending = 0; // calls under way
let calls = 0;
let failed = 0; // calls without a 200
let renewals = 0;

/** The marker's value, or "" where there is none. */
function marker() {
  const prefix = "tokenLife=";
  const cookie = document.cookie.split("; ").find((c) => c.startsWith(prefix));
  return cookie ? cookie.slice(prefix.length) : "";
}

const isLogin = (value) => value !== "" && value !== "0";

/** Accounts for a marker not seen before, and tells whether it is a renewal's. */
function isRenewal(value) {
  if (!isLogin(value) || value === seen) return false;
  seen = value;
  if (over) return false; // a new login, not an old one that goes on
  renewals++;
  return true;
}

const plural = new Intl.PluralRules("en", { type: "ordinal" });
const ordinal = (n) => n + { one: "st", two: "nd", few: "rd", other: "th" }[plural.select(n)];

/** Writes a line into the log: status is a number, or "" where there was no answer. */
function log(status, kind, words, aloud) {
  const row = document.createElement("tr");
  row.dataset.status = status;
  row.dataset.kind = kind;
  row.dataset.renewals = renewals;
  const time = document.createElement("time");
  const now = new Date(Date.now() + offset);
  time.dateTime = now.toISOString();
  time.textContent = now.toLocaleTimeString([], { hourCycle: "h23" });
  for (const content of [time, status || "–", words]) {
    const cell = document.createElement("td");
    cell.append(content);
    row.append(cell);
  }
  $("log").prepend(row);
  while ($("log").rows.length > 200) $("log").deleteRow(-1);
  if (aloud) say(words);
}

/** Tells, also to those who listen, what is new. */
function say(words) {
  if ($("news").textContent !== words) $("news").textContent = words;
}

/**
 * Calls the API once, and tells whether the answer brought new cookies. asked:
 * somebody pressed a button and waits for words.
 */
async function call(asked) {
  notice();
  const due = marker() === "";
  pending++;
  let status = "";
  let brought = false;
  try {
    const answer = await fetch("/api/hello", { cache: "no-store" });
    status = answer.status;
    if (answer.ok) {
      // No script sees a Set-Cookie. But the handler says no-store, and tokenLife
      // makes that "private, no-store" on an answer that it adds cookies to.
      brought = answer.headers.get("Cache-Control").includes("private");
      const { name, now } = await answer.json();
      offset = now - Date.now();
      $("user").textContent = name;
    }
  } catch {
    // No answer is no sign-out: the login is as good as before.
  }
  pending--;
  calls++;
  if (status !== 200) failed++;
  report(status, due, brought, asked);
  show();
  return brought;
}

/** Says what an answer was. due: there was no marker when its call began. */
function report(status, due, brought, asked) {
  if (status === "") {
    log(status, "lost", "No answer. Is the program still running?", true);
  } else if (status === 503) {
    log(status, "later", "The login could not be renewed just now. It is kept.", true);
  } else if (status !== 200) {
    log(status, "refused", "Refused: nobody is signed in here any more.", true);
  } else if (brought && isRenewal(marker())) {
    log(status, "renewed", `This answer renewed the login (${ordinal(renewals)} time).`, true);
  } else if (brought) {
    log(status, "same", `This answer brought the same new cookies (${ordinal(renewals)} renewal).`, false);
  } else if (due && marker() === "") {
    log(status, "last", "Answered. The token is good for another moment.", asked);
  } else {
    log(status, "plain", "Answered. No new cookies.", asked);
  }
}

/** Notices what other tabs have done: a renewal, a sign-out, a new login. */
function notice() {
  if (pending > 0) return; // then it may be the doing of a call of this tab
  const value = marker();
  if (isRenewal(value)) {
    log("", "elsewhere", `Another tab renewed the login (${ordinal(renewals)} time). This one goes on with it.`, true);
  }
  if (value === "0" && !over) {
    over = true;
    log("", "out", "The login is over. This tab makes no more calls by itself.", true);
  } else if (isLogin(value) && over) {
    over = false;
    log("", "in", "There is a login again.", true);
  }
}

/** Brings the figures up to date. */
function show() {
  const value = marker();
  const ends = Number(value.split(".")[0]) * 1000;
  const left = isLogin(value) ? Math.max(0, ends - (Date.now() + offset)) : 0;
  app.dataset.state = value === "0" ? "over" : value === "" ? "due" : "alive";
  app.dataset.calls = calls;
  app.dataset.renewals = renewals;
  const words = { over: "signed out", due: "due", alive: `${Math.ceil(left / 1000)} s left` };
  $("left").textContent = words[app.dataset.state];
  $("marker").textContent = value === "" ? "no tokenLife cookie: the next calls renew the login" : `tokenLife=${value}`;
  $("meter").value = Math.min(left, life) / 1000;
  $("calls").textContent = calls;
  $("failed").textContent = failed;
  $("renewals").textContent = renewals;
  $("who").hidden = value === "0";
  $("signout").textContent = value === "0" ? "Sign in again" : "Sign out";
}

$("call").addEventListener("click", () => call(true));
$("ten").addEventListener("click", async () => {
  const failedBefore = failed;
  const renewalsBefore = renewals;
  const brought = await Promise.all(Array.from({ length: 10 }, () => call(false)));
  if (failed > failedBefore) {
    say(`Ten calls, ${failed - failedBefore} of them failed.`);
  } else if (renewals === renewalsBefore) {
    say("Ten calls, ten answers, no renewal needed.");
  } else {
    const n = brought.filter(Boolean).length;
    say(`Ten calls, ten answers, ${renewals - renewalsBefore} renewal; ${n} of the answers brought its cookies.`);
  }
});

setInterval(() => {
  notice();
  show();
}, 200);
setInterval(() => {
  if ($("auto").checked && !over && pending === 0) call(false);
}, 1000);
show();
