"""The page in a real Chromium, and what can be measured on it without looking at pixels."""

from __future__ import annotations

import shutil
import wave
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.conftest import need
from tests.doubles.voice_system import RATE_HZ, ROOT, need_speech

QUIET = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")
#: Milliseconds that a busy machine may need for one step of the system, and of the page alone.
LONG_MS = 90_000
expect.set_options(timeout=30_000)

#: Texts whose contrast on their ground is below 4.5:1 or that leave the window, and by how much the page is wider than it.
UNREADABLE = """() => {
  const rgba = (css) => { const [r, g, b, a = 1] = css.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (top, ground) => [0, 1, 2].map((i) => top[i] * top[3] + ground[i] * (1 - top[3])).concat(1);
  const part = (v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  const chain = (e) => (e ? [...chain(e.parentElement), e] : []);
  const found = [], cut = [];
  for (const e of document.querySelectorAll("body *")) {
    const hasText = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.textContent.trim() !== "");
    const box = e.getBoundingClientRect();
    const style = getComputedStyle(e);
    if (!hasText || box.width < 2 || box.height < 2 || style.visibility === "hidden") continue;
    if (box.left < 0 || box.right > innerWidth + 1) cut.push(e.textContent.trim().slice(0, 40));
    const grounds = chain(e).map((x) => rgba(getComputedStyle(x).backgroundColor));
    const ground = grounds.reduce((below, top) => over(top, below), [128, 128, 128, 1]);
    const opacity = chain(e).reduce((product, x) => product * Number(getComputedStyle(x).opacity), 1);
    const [r, g, b, a] = rgba(style.color);
    const [one, two] = [light(over([r, g, b, a * opacity], ground)), light(ground)];
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)}:1 ${e.textContent.trim().slice(0, 40)}`);
  }
  return { found, cut, tooWide: document.documentElement.scrollWidth - innerWidth };
}"""


def need_browser() -> None:
    """Everything that a test of the page rests on, or a reason to skip."""
    need_speech()
    need(shutil.which("chromium"), "chromium (apt-get install chromium)")
    need((ROOT / "voice/web/dist/index.html").is_file(), "the page, built (npm run build in voice/web)")


@asynccontextmanager
async def chromium(*flags: str) -> AsyncGenerator[Browser]:
    """A fresh browser; each of its contexts is a visitor of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=[*QUIET, *flags]
        )
        try:
            yield browser
        finally:
            await browser.close()


async def visit(browser: Browser, url: str, **options: Any) -> tuple[Page, list[str]]:
    """The page as a new visitor sees it, and every address it asks for."""
    page = await (await browser.new_context(**options)).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("websocket", lambda socket: asked.append(socket.url))
    await page.goto(url)
    return page, asked


def origins(asked: list[str]) -> set[str]:
    """The hosts behind the addresses; what the page made itself has none."""
    return {urlsplit(url).netloc for url in asked if not url.startswith("blob:")}


async def type_in(page: Page, text: str) -> None:
    """Type a request and send it by Enter."""
    await page.get_by_test_id("input").fill(text)
    await page.get_by_test_id("input").press("Enter")


def microphone(path: Path, pcm: bytes) -> tuple[str, ...]:
    """Flags that make the browser's microphone play `pcm`, 16 kHz mono; it is played in a loop."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(pcm)
    return (
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}",
        "--autoplay-policy=no-user-gesture-required",
    )
