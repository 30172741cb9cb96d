"""A real Chromium talks to the whole system: over WebRTC with a microphone, and by typing without one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from infra.cluster import open_cluster
from schemas.paths import Remote
from tests.doubles.browser import LONG_MS, chromium, microphone, need_browser, origins, type_in, visit
from tests.doubles.voice_system import People, VoiceSystem, running_system, silence

pytestmark = [pytest.mark.browser, pytest.mark.speech, pytest.mark.slow]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Generator[VoiceSystem]:
    need_browser()
    with running_system(tmp_path_factory.mktemp("browser") / "data") as system:
        yield system


@asynccontextmanager
async def page_of(system: VoiceSystem, *flags: str) -> AsyncGenerator[tuple[Page, list[str]]]:
    """The page in a fresh browser, and every address it asked for."""
    async with chromium(*flags) as browser:
        yield await visit(browser, system.url)


async def test_a_request_spoken_into_the_browser_is_done_and_answered(system: VoiceSystem, tmp_path: Path) -> None:
    """Spoken over WebRTC: the card moves, the bot is heard, the result is stored; nothing is asked of other origins."""
    request = People(tmp_path).say("run a slow audit of the quarterly report")
    # Behind the request comes more silence than the test lasts.
    flags = microphone(tmp_path / "mic.wav", silence(2.0) + request + silence(180))
    async with page_of(system, *flags) as (page, asked):
        await page.get_by_test_id("call").click()
        await expect(page.get_by_test_id("connection")).to_have_attribute("data-phase", "online", timeout=LONG_MS)
        assert await page.evaluate("window.__sisyphus.readyMs") is not None
        assert "transport:webrtc" in await page.evaluate("window.__sisyphus.events")
        card = page.get_by_test_id("task-card")
        await expect(card).to_have_count(1, timeout=LONG_MS)
        seen = await page.evaluate(
            """async () => {
                const seen = new Set();
                const card = () => document.querySelector('[data-testid="task-card"]');
                while (!["complete", "executor_error", "system_error", "canceled"].includes(card().dataset.state)) {
                    seen.add(card().dataset.progress);
                    await new Promise((resolve) => setTimeout(resolve, 100));
                }
                return [...seen].filter((value) => value !== "").map(Number);
            }"""
        )
        assert sorted(seen) == seen
        # The bar never goes back: the first milestone (15) lies behind the share of steps that are done by then.
        assert {30, 45, 60, 75, 90} <= set(seen)
        await expect(card).to_have_attribute("data-state", "complete")
        transcript = page.get_by_test_id("transcript")
        await expect(transcript).to_contain_text("Run a slow audit of the quarterly report.")
        await expect(transcript).to_contain_text("Okay. Auditing the quarterly report.")
        await expect(transcript).to_contain_text("The audit of the quarterly report is finished", timeout=LONG_MS)
        assert await page.evaluate("window.__sisyphus.remoteLevelMax") > 0.02
        result = await page.get_by_test_id("result").inner_text()
        task = await card.get_attribute("data-task-id")
        await page.get_by_test_id("hangup").click()
    assert await stored(system, f"sisyphus:results/{task}/verdict.txt") in result
    assert origins(asked) == {urlsplit(system.url).netloc}


async def test_without_a_microphone_typing_works(system: VoiceSystem) -> None:
    """Permission refused: a clear sentence, and the same request by keyboard is done and answered."""
    async with page_of(system) as (page, asked):
        await page.get_by_test_id("call").click()
        await expect(page.get_by_test_id("error-banner")).not_to_be_empty(timeout=LONG_MS)
        # Nothing was lost by it, and no line is held.
        await expect(page.get_by_test_id("connection")).to_have_attribute("data-phase", "idle")
        await type_in(page, "count the words in the annual report")
        card = page.get_by_test_id("task-card")
        await expect(card).to_have_attribute("data-state", "complete", timeout=LONG_MS)
        await expect(page.get_by_test_id("transcript")).to_contain_text("The annual report has", timeout=LONG_MS)
        await expect(
            page.get_by_test_id("transcript").get_by_text("count the words in the annual report")
        ).to_have_count(1)
    assert origins(asked) == {urlsplit(system.url).netloc}


async def stored(system: VoiceSystem, remote: str) -> str:
    async with open_cluster(system.settings) as cluster:
        return (await cluster.read_text(Remote.parse(remote))).strip()
