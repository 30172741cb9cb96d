"""Speech -> task: a template and its values become a row in the store, and the start is said at once.

The row comes first (about 5 ms), the sentence right behind it: what is spoken is what the database says. The document
holds who asked and for what, never what was said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from infra.cluster import Cluster
from infra.errors import SisyphusError
from infra.identity import new_id
from infra.log import get_logger
from schemas.failure import DocumentError
from schemas.legacy import parse_task
from schemas.record import TaskRecord
from schemas.template import Template
from voice.bot.latency import LatencyLog
from voice.bot.mouth import Utterance
from voice.bot.narration import SPOKEN_TAG

log = get_logger(__name__)

_MAX_TAG_CHARS = 256


class Acknowledged(Protocol):
    """Who follows the task from here on (the announcer)."""

    def expect(self, task_id: str) -> None:
        """A task is about to be submitted whose start is said by somebody else."""
        ...

    def acknowledged(self, record: TaskRecord | None, task_id: str, said: Utterance | None) -> None:
        """The expected task was accepted and `said` names it; or with None: it was not."""
        ...


class Speaker(Protocol):
    """The mouth."""

    def say(self, text: str, task: str | None = None) -> Utterance:
        """Say it after everything given before."""
        ...


class Submitter:
    """Submits one session's tasks."""

    def __init__(
        self, cluster: Cluster, session: str, speaker: Speaker, follower: Acknowledged, latency: LatencyLog
    ) -> None:
        self._cluster, self._session = cluster, session
        self._speaker, self._follower, self._latency = speaker, follower, latency

    async def submit(self, template: Template, values: Mapping[str, str], spoken: Mapping[str, str]) -> None:
        """Start a task and say so; whatever goes wrong is said too.

        Args:
            template: what to do.
            values: parameter -> value, as it stands in a document.
            spoken: parameter -> how the value is said.
        """
        task_id = new_id()
        self._follower.expect(task_id)
        record: TaskRecord | None = None
        said: Utterance | None = None
        try:
            document = parse_task(self._tagged(template.render(values, task_id), spoken))
            record = (await self._cluster.submit(document)).record
            self._latency.row_stored()
            said = self._speaker.say(f"Okay. {template.say('started', spoken)}", task_id)
            log.info("task_asked_for", task_id=task_id, template=template.name, session=self._session)
        except DocumentError as error:
            self._speaker.say(f"That cannot be done: {error.problems[0].message}.")
        except SisyphusError as error:
            log.warning("submit_failed", error=str(error), consequence="the user is told, nothing was started")
            self._speaker.say("I could not start it, because the task store does not answer. Please try again.")
        finally:
            self._follower.acknowledged(record, task_id, said)

    def _tagged(self, document: dict[str, object], spoken: Mapping[str, str]) -> dict[str, object]:
        tags = document.get("tags")
        own = {f"{SPOKEN_TAG}{name}": value[:_MAX_TAG_CHARS] for name, value in spoken.items()}
        document["tags"] = {**(tags if isinstance(tags, dict) else {}), "session": self._session, **own}
        return document
