// Logs in as a person does, in a headless Chromium, and prints what the last page is as JSON.
// Arguments: the path of Chromium, the URL. Environment: LOGIN_USER, LOGIN_PASSWORD.
import { chromium } from "playwright-core";

const [executablePath, url] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath });
try {
  const page = await browser.newPage();
  const problems = [];
  page.on("console", (message) => problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(url);
  await page.getByLabel("User name").fill(process.env.LOGIN_USER);
  await page.getByLabel("Password").fill(process.env.LOGIN_PASSWORD);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.waitForURL("http://127.0.0.1:*/callback?*");
  const title = await page.getByRole("heading").textContent();
  const scripts = await page.locator("script").count();
  console.log(JSON.stringify({ title, scripts, html: await page.content(), problems }));
} finally {
  await browser.close();
}
