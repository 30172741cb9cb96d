"""How well and how fast utterances are matched; prints JSON. What recognisers heard is replayed (hear_corpus.py).

Usage: python -m benchmarks.matching [--show]. With --show every miss is printed to stderr.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.template_catalog import load_catalog
from schemas.match import Hypothesis, Match, MatchKind
from schemas.taken_back import as_meant
from schemas.utterance import Matcher
from schemas.wording import heard
from voice.bot.requests import packaged_model

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "benchmarks" / "corpus"
LOOSE = tuple(f"loose{number}" for number in range(1, 67))
#: Sets of sentences that only sound like requests, in the words of requests.
TOLD = ("told1", "told2", "told3", "told4", "told5", "told-blind", "told-blind2", "told-blind3")
#: Sets that the model never learns from.
BLIND = ("blind", *(f"blind{number}" for number in range(2, 13)))
SETS = ("tune", "held-out", "fresh", "free", "wide", "unseen", *BLIND, *LOOSE)


@dataclass(frozen=True)
class Command:
    """A line of a corpus: what is said and what is meant."""

    text: str
    intent: str
    slots: dict[str, str]


def lines(name: str) -> list[str]:
    """The lines of a corpus file without comments."""
    text = (CORPUS / name).read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def commands(which: str) -> list[Command]:
    """The commands of a set."""
    result = []
    for line in lines(f"commands-{which}.txt"):
        text, intent, pairs = (part.strip() for part in f"{line} ".split("|"))
        slots = dict(pair.split("=", 1) for pair in pairs.split(", ") if pair)
        result.append(Command(text, intent, {k: v if "/" not in v else f"sisyphus:{v}" for k, v in slots.items()}))
    return result


def names(which: str) -> list[str]:
    """The objects of a set."""
    if which != "tune":
        return lines(f"names-{which}.txt")
    data = ROOT / "examples" / "data"
    return [f"sisyphus:{path.relative_to(data)}" for path in sorted(data.rglob("*")) if path.is_file()]


def matcher(which: str, *, has_model: bool = True) -> Matcher:
    """A matcher over the shipped templates and the objects of a set."""
    return Matcher(load_catalog(), names(which), packaged_model() if has_model else None)


def verdict(match: Match, command: Command) -> str:
    """``right``, ``asked`` or ``wrong``."""
    if match.kind is not MatchKind.ACCEPT or match.best is None:
        return "asked"
    return "right" if _meant(match.best.intent, match.best.slots) == _meant(command.intent, command.slots) else "wrong"


def _meant(intent: str, slots: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """What counts: "stop it" is a cancel when nothing is being said, and an article before a phrase says nothing."""
    named = {name: value.lower().removeprefix("the ") if name == "phrase" else value for name, value in slots.items()}
    return "cancel" if intent == "quiet" else intent, named


def fragments(command: Command) -> Iterator[str]:
    """Every proper beginning and ending of a command."""
    words = command.text.split()
    for cut in range(1, len(words)):
        yield " ".join(words[:cut])
        yield " ".join(words[cut:])


def is_corrected(over: Matcher, command: Command) -> bool:
    """Whether something is taken back in it: before that it asks for something else."""
    whole = heard(command.text)
    return as_meant(whole, over.lexicons) is not whole


def is_wrong_task(match: Match, command: Command, templates: Iterable[str]) -> bool:
    """Whether a fragment starts a task that its command does not ask for; a phrase cut short is still that phrase."""
    if match.kind is not MatchKind.ACCEPT or match.best is None or match.best.intent not in templates:
        return False
    named = {k: v for k, v in match.best.slots.items() if k not in {"phrase", "count"}}
    return match.best.intent != command.intent or any(command.slots.get(k) != v for k, v in named.items())


def quality(which: str, *, show: bool) -> dict[str, object]:
    """Figures of one set."""
    over = matcher(which)
    match, templates = over.match, set(load_catalog().templates)
    counts = {"right": 0, "asked": 0, "wrong": 0}
    wrong_fragments = all_fragments = 0
    for command in commands(which):
        found = match(command.text)
        result = verdict(found, command)
        counts[result] += 1
        if show and result != "right":
            tell(result, command.text, found)
        for fragment in dict.fromkeys(fragments(command) if not is_corrected(over, command) else ()):
            all_fragments += 1
            found = match(fragment)
            if is_wrong_task(found, command, templates):
                wrong_fragments += 1
                if show:
                    tell("fragment", fragment, found)
    accepted = asked = 0
    misses = lines(f"near-misses-{which}.txt")
    for text in misses:
        found = match(text)
        accepted += found.kind is MatchKind.ACCEPT
        asked += found.kind is MatchKind.DOUBTFUL
        if show and found.kind is not MatchKind.UNKNOWN:
            tell(f"near miss {found.kind.value}", text, found)
    total = sum(counts.values())
    return {
        "commands": total,
        **counts,
        "right_percent": round(100 * counts["right"] / total, 1),
        "near_misses": len(misses),
        "near_misses_accepted": accepted,
        "near_misses_asked_back": asked,
        "fragments": all_fragments,
        "fragments_wrong_task": wrong_fragments,
    }


def speed(count: int) -> dict[str, object]:
    """Milliseconds per transcript, one text and five hypotheses, with `count` objects, and per change of the names."""
    rng = random.Random(count)
    vocabulary = sorted(
        {w for path in (ROOT / "examples/data").rglob("*.txt") for w in path.read_text().split() if w.isalpha()}
    )
    remotes = [
        f"sisyphus:{rng.choice(vocabulary)}/{'-'.join(rng.choices(vocabulary, k=2))}-{i % 50}.txt" for i in range(count)
    ]
    remotes[: len(names("tune"))] = names("tune")
    started = time.perf_counter()
    over = Matcher(load_catalog(), remotes, packaged_model())
    build_ms = (time.perf_counter() - started) * 1e3
    started = time.perf_counter()
    over.rename([*remotes[10:], "sisyphus:new/fresh-report.txt"])
    rename_ms = (time.perf_counter() - started) * 1e3
    over.rename(remotes)
    texts = [command.text for command in commands("tune")]
    five = [[Hypothesis(text=mumbled(text, rng, n), log_prob=-0.3 - n * 0.1) for n in range(5)] for text in texts]
    return {
        "objects": count,
        "build_ms": round(build_ms, 1),
        "rename_ms": round(rename_ms, 1),
        "one_text": spread(over, texts),
        "five_hypotheses": spread(over, five),
    }


def mumbled(text: str, rng: random.Random, times: int) -> str:
    """`text` with a letter changed `times` times, as further hypotheses differ from the first."""
    letters = list(text)
    for _ in range(times):
        letters[rng.randrange(len(letters))] = rng.choice("aeioustr")
    return "".join(letters)


def spread(over: Matcher, utterances: Sequence[str | list[Hypothesis]]) -> dict[str, float]:
    """Median, 90 % and greatest time in ms."""
    times = []
    for utterance in utterances:
        started = time.perf_counter()
        over.match(utterance)
        times.append((time.perf_counter() - started) * 1e3)
    times.sort()
    return {
        "median_ms": round(statistics.median(times), 2),
        "p90_ms": round(times[int(len(times) * 0.9)], 2),
        "max_ms": round(times[-1], 2),
    }


def tell(what: str, text: str, match: Match) -> None:
    """One miss, to stderr."""
    best = match.best or (match.others[0] if match.others else None)
    shown = f"{best.intent} {dict(best.spoken)} {best.score}/{best.weakest}" if best else "-"
    print(f"{what:18} {text!r}: {match.kind.value}/{match.reason.value} {shown}", file=sys.stderr)


def main() -> None:
    """Print all figures."""
    # It builds on this module.
    from benchmarks.hear_corpus import replay

    show = "--show" in sys.argv[1:]
    report = {
        "text": {which: quality(which, show=show) for which in SETS},
        "heard": replay(show=show),
        "speed": [speed(count) for count in (20, 2000)],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
