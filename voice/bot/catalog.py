"""What can be asked for and of what: the templates, and the objects in the store by their spoken names.

Shared by all sessions of a server. Names follow the store when objects come and go: it is listed at most every two
seconds, while somebody is connected, and all that grows with the number of objects runs off the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from infra.cluster import Cluster
from infra.errors import SisyphusError
from infra.log import get_logger
from infra.template_catalog import Catalog
from schemas.match import Hypothesis, Match, Reading
from schemas.template import Template
from schemas.utterance import Matcher
from voice.bot.hints import hint_of
from voice.bot.proposals import REPAIRED, REPAIRED_RIVALS, SKETCHED, SKETCHED_RIVALS
from voice.bot.requests import request_model
from voice.services.hearing import Hint
from voice.services.weights import Weights

log = get_logger(__name__)

#: Seconds between two looks at the store.
_REFRESH_S = 2.0
#: Objects whose names can be spoken; a store with more is listed up to here.
_MAX_OBJECTS = 10_000
#: Readings that are kept, since gate, patience and intent ask for the same one.
_KEPT = 8
#: Names that a recogniser is told; it takes about as many.
MAX_HINTS = 40


class Vocabulary:
    """The matcher over the current names. `refresh` once, then run `follow`."""

    def __init__(self, cluster: Cluster, catalog: Catalog) -> None:
        self._cluster = cluster
        weights = Weights(cluster.settings.data / "models", cluster.settings.models)
        self._matcher = Matcher(catalog, model=request_model(weights))
        self._remotes: tuple[str, ...] = ()
        self._readings: dict[tuple[tuple[tuple[str, float], ...], bool, bool], Match] = {}
        self._templates: Mapping[str, Template] = catalog.templates

    @property
    def templates(self) -> Mapping[str, Template]:
        """What can be asked for, by name."""
        return self._templates

    @property
    def remotes(self) -> tuple[str, ...]:
        """The objects as of the last look."""
        return self._remotes

    def understand(
        self, hypotheses: Sequence[tuple[str, float]], *, answer_expected: bool, is_typed: bool = False
    ) -> Match:
        """What is meant; asked again for the same words, it is not worked out again."""
        key = (tuple(hypotheses), answer_expected, is_typed)
        known = self._readings.get(key)
        if known is None:
            heard = [Hypothesis(text=text, log_prob=log_prob) for text, log_prob in hypotheses]
            said = hypotheses[0][0] if is_typed else heard
            known = self._matcher.match(said, answer_expected=answer_expected)
            while len(self._readings) >= _KEPT:
                del self._readings[next(iter(self._readings))]
            self._readings[key] = known
        return known

    def is_about_names(self, said: Sequence[str]) -> bool:
        """Whether something in the store is named in one of several hearings."""
        return self._matcher.is_about_names(said)

    def forbids(self, said: Sequence[str]) -> bool:
        """Whether one of several hearings asks for nothing, or takes something back."""
        return self._matcher.forbids(said)

    def closest(self, said: Sequence[str]) -> Sequence[Reading]:
        """The requests most like what was said, and their rivals, where no form fits it."""
        return self._matcher.closest(said, SKETCHED, SKETCHED_RIVALS)

    def brief(self, said: Sequence[str]) -> Sequence[Reading]:
        """The nearest of what is said in a few words to ask for status, help and the like."""
        return self._matcher.brief(said, SKETCHED)

    def repaired(self, said: Sequence[str], heard: Sequence[str]) -> Sequence[Reading]:
        """The requests that a few misheard words make of what was said, those among all that was heard, and rivals."""
        return self._matcher.repaired(said, heard, REPAIRED, REPAIRED_RIVALS)

    def hints(self, heard: str) -> Hint:
        """For the recogniser: what can be asked for, and all names where they are few, else those near to `heard`."""
        return hint_of(self._matcher.hints(heard, MAX_HINTS), self.templates.values())

    def choose(self, text: str, names: Sequence[str]) -> str | None:
        """The one of `names` that `text` clearly is, or None."""
        found = [name.spoken for name in self._matcher.name(text) if name.spoken in names]
        return found[0] if found else None

    async def refresh(self) -> None:
        """Look at the store now. Raises SisyphusError when it cannot be listed."""
        remotes: list[str] = []
        async for info in self._cluster.ls():
            remotes.append(str(info.remote))
            if len(remotes) >= _MAX_OBJECTS:
                break
        found = tuple(remotes)
        if found != self._remotes:
            await asyncio.to_thread(self._matcher.rename, found)
            self._remotes = found
            self._readings.clear()

    async def follow(self) -> None:
        """Keep the names up to date, until cancelled."""
        while True:
            try:
                await self.refresh()
            except SisyphusError as error:
                log.warning("names_not_refreshed", error=str(error), consequence="the names known before are used")
            await asyncio.sleep(_REFRESH_S)
