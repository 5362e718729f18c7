// The page in a real browser: refreshing, keyboard, narrow and dark, and texts of
// clients that are meant to run there. Its lines of standard input and output are those
// of tests/admin/browser.rs, which starts clients when it is asked to.
//
//   node browser.js CHROMIUM URL PASSWORD FOLDER
"use strict";
const assert = require("assert");
const readline = require("readline");
const { chromium } = require("playwright-core");

const [executablePath, url, password, folder] = process.argv.slice(2);
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Asks the test for something and waits until it is done.
const ask = async (word) => {
  console.log(word);
  const { value } = await lines.next();
  assert.strictEqual(value, `${word} done`);
};

// What must never happen on a page.
const watch = (page, seen) => {
  page.on("dialog", (dialog) => seen.push(`dialog ${dialog.message()}`) && dialog.dismiss());
  page.on("pageerror", (error) => seen.push(`error ${error.message}`));
  page.on("console", (message) => seen.push(`console ${message.text()}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) seen.push(`request ${request.url()}`);
  });
};

const open = async (browser, options, user, seen) => {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(60000);
  const page = await context.newPage();
  watch(page, seen);
  await page.goto(url);
  // By the keyboard alone: the first field has the focus.
  await page.waitForFunction(() => document.activeElement?.name === "user");
  await page.keyboard.type(user);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await page.waitForURL(url).catch(async (error) => {
    throw new Error(`${error.message}: ${page.url()} ${await page.locator("body").innerText()}`);
  });
  await page.waitForFunction(() => document.getElementById("live")?.textContent.startsWith("Refreshed"));
  return page;
};

const section = (page, id) => page.locator(`[data-section=${id}]`);

// Texts whose colour is too near to that of their ground (WCAG 2.2, 1.4.3).
const faint = (page) =>
  page.evaluate(() => {
    const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
    const light = (colour) => {
      const [r, g, b] = channels(colour).map((c) => {
        const s = c / 255;
        return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
      for (let at = element; at; at = at.parentElement) {
        const colour = getComputedStyle(at).backgroundColor;
        if ((channels(colour)[3] ?? 1) > 0) return colour;
      }
      return "rgb(255, 255, 255)";
    };
    const found = new Set();
    for (const element of document.querySelectorAll("body *")) {
      const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if (!own) continue;
      const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
      const ratio = (a + 0.05) / (b + 0.05);
      if (ratio < 4.5) found.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
    }
    return [...found];
  });

// Elements that stick out at the right.
const wide = (page) =>
  page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const out = [...document.querySelectorAll("body *")].filter(
      (element) =>
        element.getBoundingClientRect().right > width + 1 && !element.closest("thead, svg"),
    );
    return out.map((element) => `${element.tagName}.${element.className} ${element.textContent.slice(0, 60)}`);
  });

const main = async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  const seen = [];
  try {
    const page = await open(browser, { viewport: { width: 1280, height: 900 } }, "olga", seen);
    const sessions = section(page, "sessions");

    // A client that comes is shown without a reload, and what it writes is text.
    await page.evaluate(() => (window.before = true));
    await ask("clients");
    await sessions.getByText("<script>alert(1)</script>").first().waitFor();
    assert.ok(await page.evaluate(() => window.before), "the page was loaded again");
    await section(page, "refusals").getByText("onerror=alert(2)").first().waitFor();
    assert.strictEqual(await page.locator("main script, main img, main [onerror], main iframe").count(), 0);

    // What is open and has the focus stays so while the page is refreshed.
    const end = sessions.locator("summary").first();
    await end.focus();
    await page.keyboard.press("Enter");
    await ask("another");
    await sessions.getByText("another one").waitFor();
    assert.strictEqual(await page.evaluate(() => document.activeElement.textContent), "End");
    assert.ok(await page.evaluate(() => document.activeElement.parentElement.open));

    // What is selected is not taken away from who copies it.
    const overview = section(page, "overview");
    await page.evaluate(() => {
      const time = document.querySelector("[data-section=overview] time");
      getSelection().selectAllChildren(time);
    });
    const selected = await page.evaluate(() => getSelection().toString());
    await ask("more");
    await sessions.getByText("one more").waitFor();
    assert.strictEqual(await page.evaluate(() => getSelection().toString()), selected);
    await page.evaluate(() => getSelection().removeAllRanges());
    assert.strictEqual(await overview.locator("time").count(), 1);

    // The search finds, and is kept while the page is refreshed.
    await page.getByRole("searchbox").fill("ONE MORE");
    await page.keyboard.press("Enter");
    await page.waitForURL(/q=ONE\+MORE/);
    assert.strictEqual(await sessions.locator("tbody tr").count(), 1);

    // Two presses of a key end a session.
    await sessions.locator("summary").first().focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForURL(/done=kill_client/);
    await page.getByText("The session is being ended.").waitFor();
    await ask("ended");

    // The check and the verification of the audit log run, and say what they found.
    await page.getByRole("button", { name: "Run the check" }).click();
    await section(page, "findings").getByText(/in \d+ databases/).waitFor();
    await page.getByRole("button", { name: "Verify the log" }).click();
    await section(page, "audit").getByText("The log verifies").waitFor();
    await ask("tamper");
    await page.getByRole("button", { name: "Verify the log" }).click();
    await section(page, "audit").getByText("The log does not verify").waitFor();

    // No longer refreshed where that is not wanted.
    await page.getByRole("button", { name: "Stop refreshing" }).click();
    assert.strictEqual(await page.locator("#live").textContent(), "Not refreshed.");
    await page.goto(url);
    await page.screenshot({ path: `${folder}/wide.png`, fullPage: true });
    assert.deepStrictEqual(await faint(page), [], "light");

    for (const width of [400, 320]) {
      const narrow = await open(
        browser,
        { viewport: { width, height: 800 }, colorScheme: "dark" },
        "vera",
        seen,
      );
      assert.deepStrictEqual(await wide(narrow), [], `${width} pixels`);
      assert.deepStrictEqual(await faint(narrow), [], "dark");
      assert.strictEqual(await narrow.getByText("End clients").count(), 0);
      await narrow.screenshot({ path: `${folder}/narrow-${width}.png`, fullPage: true });
    }

    // Without a script it is whole, too.
    const plain = await browser.newContext({ javaScriptEnabled: false });
    const still = await plain.newPage();
    await still.goto(url);
    await still.fill("[name=user]", "olga");
    await still.fill("[name=password]", password);
    await still.click("button");
    await still.getByText("Reload the page to refresh it.").waitFor();
    await still.getByText("another one").first().waitFor();
    await still.getByRole("button", { name: "Log out" }).click();
    await still.waitForURL(/login/);
  } finally {
    await browser.close();
  }
  assert.deepStrictEqual(seen, []);
};

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
