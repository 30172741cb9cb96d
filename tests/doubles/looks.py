"""A vocabulary of a few sentences and models that hear what they are told to, for tests of what is understood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from infra.template_catalog import load_catalog
from schemas.match import Match, MatchKind, Reading, Reason
from voice.services.hearing import Hearing, Look, Weight

LOG = Reading.model_validate(
    {
        "intent": "compress",
        "slots": {"source": "logs/error-log.txt"},
        "meaning": ("compress", "logs/error-log.txt"),
        "forms": {"source": "the error log"},
        "score": 80.0,
        "wording": "compress the error log",
    }
)
SURE_LOG = LOG.model_copy(update={"score": 100.0})
MATCHES = {
    "compress the error log": Match(kind=MatchKind.ACCEPT, reason=Reason.CLEAR, best=SURE_LOG, text="x"),
    "compass the error lock": Match(kind=MatchKind.DOUBTFUL, reason=Reason.UNSURE, best=LOG, text="x"),
    "compress": Match(kind=MatchKind.UNKNOWN, reason=Reason.UNFINISHED, text="x"),
    "the weather": Match(kind=MatchKind.UNKNOWN, reason=Reason.NOTHING, text="x"),
}
OTHER = LOG.model_copy(update={"slots": {"source": "logs/other.txt"}, "meaning": ("compress", "logs/other.txt")})
MATCHES["compress the other log"] = Match(kind=MatchKind.ACCEPT, reason=Reason.CLEAR, best=OTHER, text="x")
MATCHES["compass the other lock"] = Match(kind=MatchKind.DOUBTFUL, reason=Reason.UNSURE, best=OTHER, text="x")
MATCHES["do not compress the error log"] = MATCHES["the weather"]
#: What no words tell: the verb was misheard altogether.
CLOSEST = {"comes the error lock": [LOG]}
#: One word of it was misheard.
REPAIRED = {"would you press the error lock": [LOG.model_copy(update={"wording": "would you compress the error log"})]}
MATCHES["would you press the error lock"] = MATCHES["would you press the error log"] = MATCHES["the weather"]
MATCHES["comes the error lock"] = MATCHES["come the error log"] = MATCHES["the weather"]


#: A word or two that were misheard altogether.
CANCEL = Reading(intent="cancel", meaning=("cancel",), score=70.0, wording="cancel")
BRIEF = {"council": [CANCEL]}
MATCHES["the weather and vinegar tomorrow"] = MATCHES["the weather"]
MATCHES["council"] = MATCHES["cancer"] = MATCHES["the weather"]


class Words:
    remotes: Sequence[str] = ()
    templates = load_catalog().templates
    has_names = True

    def understand(
        self, hypotheses: Sequence[tuple[str, float]], *, answer_expected: bool, is_typed: bool = False
    ) -> Match:
        return MATCHES[hypotheses[0][0]]

    def is_about_names(self, said: Sequence[str]) -> bool:
        return self.has_names

    def forbids(self, said: Sequence[str]) -> bool:
        return any("do not" in text for text in said)

    def closest(self, said: Sequence[str]) -> Sequence[Reading]:
        return CLOSEST.get(said[0], ())

    def brief(self, said: Sequence[str]) -> Sequence[Reading]:
        return BRIEF.get(said[0], ())

    def repaired(self, said: Sequence[str], heard: Sequence[str]) -> Sequence[Reading]:
        return REPAIRED.get(said[0], ())


class Ears:
    """A better model that hears one text, as soon as it may; the sound is what it heard."""

    def __init__(self, text: str) -> None:
        self._text, self.looks, self.go = text, 0, asyncio.Event()
        self.further: list[str] = []
        self.likely: dict[str, float] = {text: -1.0}
        self.further_looks = 0
        self.weighed: list[str] = []

    async def look_again(self, pcm: bytes, heard: str) -> Look:
        self.looks += 1
        await self.go.wait()
        return Look(((self._text, -0.1),), 0.0)

    async def look_further(self, pcm: bytes, heard: str) -> AsyncIterator[Look]:
        self.further_looks += 1
        for text in self.further:
            yield Look(((text, -0.2),), 0.0)

    async def sketch(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        return [self._weight(text) for text in texts]

    async def weigh(self, pcm: bytes, texts: Sequence[str]) -> list[Weight]:
        self.weighed.extend(texts)
        return [self._weight(text) for text in texts]

    def _weight(self, text: str) -> Weight:
        return Weight(self.likely.get(text.lower().strip("."), -40.0), 5)


def hearing_of_text(text: str, ears: Ears) -> Hearing:
    return Hearing(Look(((text, -0.3),), 0.0), b"pcm", ears)
