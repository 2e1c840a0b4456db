// Uses the page in a browser, for TestPage in e2e/page, which serves it and gives the
// addresses. Whatever the browser complains of is a failure.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const scene = JSON.parse(process.argv[2]);
const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const browser = await chromium.launch({ executablePath: scene.chromium, args: ["--no-sandbox", "--disable-gpu"] });
const complaints = [];
let allowed = /^$/;

async function open(url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("console", (m) => { if (["error", "warning"].includes(m.type()) && !allowed.test(m.text())) complaints.push(`${m.type()}: ${m.text()}`); });
  page.on("pageerror", (e) => complaints.push(`exception: ${e.stack ?? e}`));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`)));
  await page.goto(url);
  await page.locator(".verdict").waitFor();
  await page.locator("[role=option]").first().waitFor();
  return page;
}

const control = (what) => fetch(`${scene.control}/${what}`, { method: "POST" });
const verdict = (page, text) => page.locator(".verdict", { hasText: text }).waitFor();
const picture = (page, name, options = {}) => page.screenshot({ path: join(scene.pictures, `${name}.png`), ...options });
// below is the place of what stands below the picture.
async function below(page) {
  const y = (await page.locator("section:has(#sessions)").boundingBox()).y + (await page.evaluate(() => window.scrollY));
  return { x: 0, y, width: 1280, height: Math.min(1250, (await page.evaluate(() => document.documentElement.scrollHeight)) - y) };
}
const box = (page, name) => page.getByRole("option", { name });

// until waits for what a reader would see, and fails with what it should have been.
async function until(what, seen) {
  const end = Date.now() + 20_000;
  while (!(await seen())) {
    if (Date.now() > end) assert.fail(what);
    await new Promise((r) => setTimeout(r, 50));
  }
}
const none = (locator) => async () => (await locator.count()) === 0;
const rows = (page, section) => page.locator(`section:has(#${section}) tbody tr`);

async function accessible(page, what) {
  // By the debugger, as an extension would: the page's own policy lets nothing in.
  const source = (await import("node:fs")).readFileSync(axe, "utf8");
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.html} ${n.failureSummary}`).join(" | ")}`), [], `${what}: axe-core`);
}

// A node that is well; then it breaks under the reader's eyes.
const page = await open(scene.node);
await verdict(page, "2 sessions up");
await accessible(page, "a node, light");
await page.getByRole("searchbox").fill("10.16");
await box(page, /Subnet central/).waitFor();
await until("the search leaves out what is not found", none(box(page, /Subnet edge/)));
await page.getByRole("searchbox").fill("");

await page.getByRole("searchbox").focus();
await page.evaluate(() => { window.scrollTo(0, 160); window.marker = document.querySelector("[role=option]"); });
const placeOf = (e) => Math.round(e.getBoundingClientRect().top / 4);
const top = await page.getByRole("searchbox").evaluate(placeOf);
await control("broken");
await verdict(page, "1 of 2 sessions down");
assert.ok(await page.evaluate(() => window.marker.isConnected && document.activeElement?.getAttribute("type") === "search"), "a change keeps what is drawn, and the focus");
assert.equal(await page.getByRole("searchbox").evaluate(placeOf), top, "a change keeps the place");
await page.getByText("session tor-b is down").first().waitFor();
await page.getByText("forward-drop").first().waitFor();
await page.getByText("BGPPeer <b>tor-c</b>").first().waitFor();
assert.ok(await none(page.locator(".problems b"))(), "a name from an object stays a name");
assert.match(await page.locator("#hosts ~ .finding").first().innerText(), /forward-drop 3 networks/, "what is wrong comes first, and alike findings are one");
assert.match(await box(page, /Node n1/).locator("title").textContent(), /1 wrong, 1 unknown/);
await page.evaluate(() => window.scrollTo(0, 0));
await picture(page, "node-broken");
await picture(page, "node-below", { fullPage: true, clip: await below(page) });
await accessible(page, "a broken node, light");

// Select by mouse, by keyboard, and let go.
await box(page, /Router tor-b/).click();
await until("what does not belong to it fades", async () => (await page.locator(".faded").count()) > 0);
await until("the sessions below are the router's own", async () => (await rows(page, "sessions").count()) === 1);
await picture(page, "node-selected");
await page.keyboard.press("Escape");
await until("Escape lets go", none(page.locator(".faded")));
await page.keyboard.press("ArrowRight");
await until("the right arrow leads to the node", () => page.evaluate(() => document.activeElement?.querySelector("title")?.textContent.startsWith("Node n1") ?? false));
await page.keyboard.press("Enter");
await until("Enter selects", async () => (await box(page, /Node n1/).getAttribute("aria-selected")) === "true");
await page.keyboard.press("Escape");
await page.getByLabel("only what is not well").check();
await until("only what is not well is left", none(box(page, /Router tor-a/)));
await page.getByLabel("only what is not well").uncheck();

// What happened outlives a reload; a lost connection is told, and mends itself.
await page.reload();
await page.getByText("session tor-b is down").first().waitFor();
allowed = /ERR_|Failed to load/;
await control("away");
await page.locator(".lost", { hasText: "s old" }).waitFor();
await control("back");
await page.locator(".live").waitFor();
allowed = /^$/;
await control("well");
await verdict(page, "2 sessions up");
await page.context().close();

// Dark, and on a telephone.
await control("broken");
const dark = await open(scene.node, { colorScheme: "dark" });
await verdict(dark, "1 of 2 sessions down");
await accessible(dark, "dark");
await picture(dark, "node-dark");
await dark.context().close();
const phone = await open(scene.node, { viewport: { width: 390, height: 844 }, colorScheme: "light" });
await verdict(phone, "1 of 2 sessions down");
assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= 390), "nothing is wider than a telephone");
await accessible(phone, "a telephone");
await picture(phone, "phone");
await phone.context().close();

// Ten thousand prefixes, and five hundred nodes.
for (const [name, url, expect] of [["crowd", scene.crowd, /9000 prefixes/], ["cluster", scene.cluster, /1 node dead/]]) {
  const many = await open(url);
  await many.locator(".verdict", { hasText: expect }).waitFor();
  const seen = await many.evaluate(() => ({
    drawn: Math.round(performance.getEntriesByName("picture")[0]?.startTime ?? -1),
    bytes: performance.getEntriesByType("resource").reduce((n, r) => n + r.transferSize, performance.getEntriesByType("navigation")[0].transferSize),
    data: performance.getEntriesByName(`${location.origin}/picture.json`)[0]?.decodedBodySize,
    elements: document.querySelectorAll("*").length,
  }));
  console.log(`${name}: first picture after ${seen.drawn} ms, ${seen.bytes} bytes in all, picture.json ${seen.data} bytes unpacked, ${seen.elements} elements`);
  assert.ok(seen.drawn > 0, "the picture is drawn");
  assert.ok(seen.elements < 8000, `${seen.elements} elements are too many`);
  if (name === "cluster") await bigCluster(many);
  await many.context().close();
}

async function bigCluster(many) {
  await many.setViewportSize({ width: 1000, height: 640 });
  await picture(many, "cluster");
  await accessible(many, "500 nodes");
  await box(many, /worker-042, not well/).waitFor();
  await box(many, /worker-137, not well/).waitFor();
  assert.match(await rows(many, "announced").last().innerText(), /worker-042\s+172\.30\.0\.44, 172\.30\.1\.44, 172\.30\.3\.44\s+tor-a, tor-b, tor-d\s+tor-c/, "a cluster's page tells next hops and routers");
  const group = box(many, /Node \d+ nodes, well/).first();
  await group.click();
  await until("what does not belong to it fades", async () => (await many.locator(".faded").count()) > 0);
  await many.getByRole("button", { name: /^Show all \d+ one by one/ }).click();
  await box(many, /more nodes/).waitFor();
  await many.getByRole("searchbox").fill("worker-042");
  await until("the sessions of one node are found among 2,000", async () => (await rows(many, "sessions").count()) === 4);
  await many.getByText("connection refused").first().waitFor();
  assert.match(await rows(many, "sessions").last().innerText(), /172\.30\.\d\.44/, "the node's own address is told");
}

await browser.close();
assert.deepEqual(complaints, [], "the browser complains");
