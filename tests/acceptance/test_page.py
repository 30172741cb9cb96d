"""The page as people use it who do not talk: reloads, the keyboard, a full server, a server that goes away."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, expect

from infra.cluster import open_cluster
from schemas.task import TaskDocument
from tests.doubles.browser import LONG_MS, UNREADABLE, chromium, microphone, need_browser, origins, type_in, visit
from tests.doubles.voice_system import VoiceSystem, running_system, silence

pytestmark = [pytest.mark.browser, pytest.mark.speech, pytest.mark.slow]

DESKTOP, PHONE, SMALL = ({"width": w, "height": h} for w, h in ((1280, 800), (390, 844), (320, 568)))
LONG_NAME = "reads /data/projects/2026/some_really_long_directory_name_without_any_space_in_it_at_all/input.csv twice"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Generator[VoiceSystem]:
    need_browser()
    with running_system(tmp_path_factory.mktemp("page") / "data") as system:
        yield system


async def submit(system: VoiceSystem, page: Page, name: str, script: str, **fields: object) -> str:
    """A task of the page's session, as any other door would take it; its id."""
    session = await page.evaluate("localStorage.getItem('sisyphus.session')")
    document = {"name": name, "image": "alpine:3", "tags": {"session": session}, **fields}
    document["commands"] = [{"title": "working", "command": ["sh", "-ec", script]}]
    async with open_cluster(system.settings) as cluster:
        submission = await cluster.submit(TaskDocument.model_validate(document))
    return submission.record.id


async def is_online(page: Page) -> None:
    await expect(page.get_by_test_id("connection")).to_have_attribute("data-phase", "online", timeout=LONG_MS)


async def test_a_reload_shows_tasks_and_conversation_at_once_and_without_a_call(system: VoiceSystem) -> None:
    """Nothing has to be clicked; the output can be saved, and typing goes on in the same conversation."""
    async with chromium() as browser:
        page, asked = await visit(browser, system.url)
        await type_in(page, "count the words in the annual report")
        transcript, card = page.get_by_test_id("transcript"), page.get_by_test_id("task-card")
        await expect(transcript).to_contain_text("The annual report has", timeout=LONG_MS)
        counted = await result(page)
        await page.reload()
        await expect(card).to_have_attribute("data-state", "complete", timeout=LONG_MS)
        await expect(page.get_by_test_id("result")).to_have_text(counted)
        await expect(transcript).to_contain_text("count the words in the annual report")
        await expect(transcript).to_contain_text("The annual report has")
        await expect(page.get_by_test_id("connection")).to_have_attribute("data-phase", "idle")
        async with page.expect_download(timeout=LONG_MS) as saving:
            await page.get_by_test_id("output").click()
        saved = await saving.value
        assert saved.suggested_filename == "count.txt"
        assert (await saved.path()).read_text().strip() == counted
        await type_in(page, "what was the result")
        await is_online(page)
        await expect(transcript.get_by_text("Nothing is running. The annual report has")).to_be_visible(timeout=LONG_MS)
        await expect(transcript.get_by_text("count the words in the annual report")).to_have_count(1)
        await expect(card).to_have_count(1)
    assert origins(asked) == {urlsplit(system.url).netloc}


async def test_without_a_call_a_running_task_is_followed_and_canceled_by_the_keyboard(system: VoiceSystem) -> None:
    """Its progress moves, cancel asks first (Escape is no), the focus is never lost, and a screen reader hears the end."""
    async with chromium() as browser:
        page, _ = await visit(browser, system.url)
        steps = "; ".join(f"echo '::progress value={n}::step {n}'; sleep 1" for n in range(1, 100))
        await submit(system, page, "endless", f"{steps}; sleep 600")
        await page.reload()
        card, cancel = page.get_by_test_id("task-card"), page.get_by_test_id("cancel")
        await expect(card).to_have_attribute("data-state", "running", timeout=LONG_MS)
        await expect(page.get_by_role("progressbar")).to_have_attribute(
            "aria-valuenow", re.compile(r"[3-9]|\d\d"), timeout=LONG_MS
        )
        await expect(page).to_have_title(re.compile(r"^1 running\b"))
        await cancel.focus()
        await cancel.press("Enter")
        await expect(page.get_by_test_id("decline")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(cancel).to_be_focused()
        await cancel.press("Enter")
        await page.keyboard.press("Shift+Tab")
        await expect(page.get_by_test_id("confirm")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(card).to_have_attribute("data-state", "canceled", timeout=LONG_MS)
        await expect(page.get_by_test_id("task-error")).to_contain_text("It was canceled.")
        await expect(card).to_be_focused()
        await expect(page.get_by_test_id("news")).to_have_text("Endless: canceled. It was canceled.")
        await expect(page.get_by_test_id("connection")).to_have_attribute("data-phase", "idle")


async def test_a_typed_conversation_gives_its_line_back_when_nothing_happens_on_it(system: VoiceSystem) -> None:
    """While a task runs it stays; a while after everything was said it ends, shows all of it, and the next request goes on."""
    async with chromium() as browser:
        context = await browser.new_context()
        page = await context.new_page()
        await page.clock.install()
        await page.goto(system.url)
        place, transcript = page.get_by_test_id("connection"), page.get_by_test_id("transcript")
        running = await submit(system, page, "endless", "sleep 600")
        await type_in(page, "count the words in the annual report")
        await expect(transcript).to_contain_text("The annual report has", timeout=LONG_MS)
        await page.clock.fast_forward("02:00")
        await expect(place).to_have_attribute("data-phase", "online")
        async with open_cluster(system.settings) as cluster:
            await cluster.cancel(running)
        await expect(transcript).to_contain_text("is canceled.", timeout=LONG_MS)
        await page.clock.fast_forward("02:00")
        await expect(place).to_have_attribute("data-phase", "idle", timeout=LONG_MS)
        await expect(transcript).to_contain_text("is canceled.")
        await expect(page.get_by_test_id("task-card")).to_have_count(2)
        await type_in(page, "what can I say")
        await is_online(page)
        await expect(transcript).to_contain_text("You can say, for example", timeout=LONG_MS)


async def test_a_second_tab_shows_the_session_and_takes_it_over_when_it_is_used(system: VoiceSystem) -> None:
    """The first tab says so, holds no line any more and still shows what happens."""
    async with chromium() as browser:
        first, _ = await visit(browser, system.url)
        await type_in(first, "count the words in the annual report")
        await expect(first.get_by_test_id("transcript")).to_contain_text("The annual report has", timeout=LONG_MS)
        second = await first.context.new_page()
        await second.goto(system.url)
        await expect(second.get_by_test_id("task-card")).to_have_attribute("data-state", "complete", timeout=LONG_MS)
        await expect(second.get_by_test_id("transcript")).to_contain_text("The annual report has")
        await is_online(first)
        await type_in(second, "make a checksum of the error log")
        await is_online(second)
        await expect(first.get_by_test_id("error-banner")).to_contain_text("another tab", timeout=LONG_MS)
        await expect(first.get_by_test_id("connection")).to_have_attribute("data-phase", "idle")
        await first.bring_to_front()
        await expect(first.get_by_test_id("task-card")).to_have_count(2, timeout=LONG_MS)
        await expect(first.locator("[data-state=complete]")).to_have_count(2, timeout=LONG_MS)
        await is_online(second)


async def test_everything_can_be_reached_and_seen_by_the_keyboard(system: VoiceSystem) -> None:
    """The skip link leads to the text box, each stop shows the focus, and an example is chosen and sent by Enter."""
    async with chromium() as browser:
        page, _ = await visit(browser, system.url)
        await expect(page.get_by_test_id("examples").get_by_role("button").first).to_be_visible(timeout=LONG_MS)
        stops: list[str] = []
        while True:
            await page.keyboard.press("Tab")
            stop = await page.evaluate(
                """() => {
                    const e = document.activeElement, style = getComputedStyle(e);
                    const seen = style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2;
                    return [e.id || e.dataset.testid || e.className || e.localName, seen];
                }"""
            )
            if stop[0] == "body":
                break
            assert stop[1], f"{stop[0]} shows no focus"
            stops.append(stop[0])
        assert stops[:6] == ["skip", "sound", "call", "transcript", "request", "send"]
        assert stops[-1] == "new-session"
        assert set(stops[6:-1]) == {"example"}
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("input")).to_be_focused()
        example = page.locator("[data-template=count-words]")
        await example.focus()
        await example.press("Enter")
        await expect(page.get_by_test_id("input")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("task-card")).to_have_attribute("data-state", "complete", timeout=LONG_MS)


async def test_the_page_is_legible_with_every_kind_of_task_in_both_schemes(system: VoiceSystem) -> None:
    """Contrast AA and nothing wider than the window, with long names, failures and their reasons, many tasks and files."""
    async with chromium() as browser:
        page, _ = await visit(browser, system.url, viewport=DESKTOP)
        for number in range(20):
            script = "echo 'The total is 12.50 euros.' > /out/total.txt"
            await submit(
                system, page, f"batch {number}", script, outputs=_list({f"sisyphus:r/{number}.txt": "/out/total.txt"})
            )
        files = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do echo $i > /out/part-$i.txt; done"
        await submit(system, page, "many files", files, outputs=_list({"sisyphus:r/many/": "/out/"}))
        await submit(system, page, "bad", "echo 'cannot open ledger.csv: wrong header' >&2; exit 3")
        await submit(system, page, LONG_NAME, f"echo '::progress value=40::{LONG_NAME}'; sleep 600")
        await page.reload()
        cards = page.get_by_test_id("task-card")
        await expect(cards).to_have_count(23, timeout=LONG_MS)
        await expect(page.locator("[data-state=complete]")).to_have_count(21, timeout=LONG_MS)
        await expect(page.locator("[data-state=executor_error]")).to_contain_text(
            "cannot open ledger.csv: wrong header"
        )
        await expect(page.get_by_text("14 files")).to_have_count(1)
        await expect(page.locator("[data-progress='40']")).to_have_count(1, timeout=LONG_MS)
        await page.reload()
        more = page.get_by_test_id("more")
        await expect(more).to_have_text("Show 15 earlier tasks", timeout=LONG_MS)
        for scheme in ("light", "dark"):
            for size in (DESKTOP, PHONE, SMALL):
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                await page.set_viewport_size(size)
                assert await page.evaluate(UNREADABLE) == {"found": [], "cut": [], "tooWide": 0}, (scheme, size)
        await more.click()
        await expect(cards.filter(visible=True)).to_have_count(23)
        await expect(more).to_have_text("Show fewer")


@pytest.mark.timeout(600)  # the system starts twice
async def test_a_full_server_and_one_that_goes_away_are_told_and_outlived(tmp_path: Path) -> None:
    """Full: said at once, and what was typed comes back. Killed in a call: said, and the same call goes on afterwards.

    With a token in the page's address, as off loopback, so that every way to the server is seen to carry it.
    """
    need_browser()
    data, variables = tmp_path / "data", {"SISYPHUS_SESSIONS": "1", "SISYPHUS_TOKEN": "a-long-random-word"}
    async with chromium(*microphone(tmp_path / "mic.wav", silence(60))) as browser:
        with running_system(data, "--nodes", "1", **variables) as system:
            talker, _ = await visit(browser, f"{system.url}/?token=a-long-random-word")
            assert "token" not in talker.url
            await talker.get_by_test_id("call").click()
            await is_online(talker)
            await type_in(talker, "count the words in the annual report")
            await expect(talker.get_by_test_id("transcript")).to_contain_text("The annual report has", timeout=LONG_MS)
            async with talker.expect_download(timeout=LONG_MS) as saving:
                await talker.get_by_test_id("output").click()
            assert (await (await saving.value).path()).read_text().strip() in await result(talker)
            other, _ = await visit(browser, f"{system.url}/?token=a-long-random-word")
            await type_in(other, "compress the error log")
            banner, box = other.get_by_test_id("error-banner"), other.get_by_test_id("input")
            await expect(banner).to_contain_text("The only line is taken.", timeout=LONG_MS)
            await expect(box).to_have_value("compress the error log")
            await box.press("Escape")
            await expect(banner).to_be_hidden()
            stranger, _ = await visit(browser, system.url)
            await expect(stranger.get_by_test_id("error-banner")).to_contain_text("access token", timeout=LONG_MS)
        place = talker.get_by_test_id("connection")
        await expect(place).to_have_attribute("data-phase", "reconnecting", timeout=LONG_MS)
        await expect(talker.get_by_text("The connection was lost.")).to_be_visible()
        await expect(talker.get_by_test_id("task-card")).to_have_attribute("data-state", "complete")
        await expect(other.get_by_text("The server does not answer")).to_be_visible(timeout=LONG_MS)
        await box.press("Enter")
        await expect(banner).to_contain_text("cannot be reached", timeout=LONG_MS)
        await expect(box).to_have_value("compress the error log")
        await type_in(talker, "what was the result")
        port = str(urlsplit(system.url).port)
        with running_system(data, "--nodes", "1", "--port", port, **variables):
            await is_online(talker)
            # What was typed meanwhile was kept, and is answered.
            await expect(talker.get_by_text("Nothing is running. The annual report has")).to_be_visible(timeout=LONG_MS)
            await expect(talker.get_by_test_id("hangup")).to_have_text("Hang up")
            await expect(banner).to_be_hidden(timeout=LONG_MS)
            await expect(other.get_by_test_id("connection")).to_have_text("Not in a call")


async def result(page: Page) -> str:
    return await page.get_by_test_id("result").inner_text()


def _list(files: dict[str, str]) -> list[dict[str, str]]:
    return [{"remote": remote, "internal": internal} for remote, internal in files.items()]
