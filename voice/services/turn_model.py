"""SmartTurn v3.2, loaded once for all sessions: says whether a speaker sounds finished.

Pipecat's analyzer loads the model per session; here a session's analyzer borrows the one that is loaded
(12 MB and 50 ms of a blocked event loop less per session). ONNX sessions may run from several threads.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn, SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3

from voice.services.memory import shrinking_run


class _Runs(Protocol):
    def run(self, outputs: object, inputs: object, options: object) -> object: ...


class _FrugalSession:
    """An ONNX session that gives its working memory back after every run: 29 MB, for no time that can be measured."""

    def __init__(self, session: _Runs) -> None:
        self._session, self._shrinking = session, shrinking_run()

    def run(self, outputs: object, inputs: object) -> object:
        """Run the model on `inputs`."""
        return self._session.run(outputs, inputs, self._shrinking)


class _BorrowedAnalyzer(LocalSmartTurnAnalyzerV3):
    """One session's analyzer around a model that is already loaded."""

    def __init__(self, session: _FrugalSession, params: SmartTurnParams) -> None:
        # Past the parent's own constructor on purpose: it is the one that loads the model.
        BaseSmartTurn.__init__(self, params=params)
        self._session = cast("Any", session)
        self._log_data = False


class TurnModel:
    """The loaded model. Its construction blocks for about 50 ms; do it off the event loop."""

    def __init__(self) -> None:
        loaded = cast("Any", LocalSmartTurnAnalyzerV3())
        self._session = _FrugalSession(loaded._session)  # noqa: SLF001 - there is no public way to share it

    def analyzer(self, stop_s: float) -> LocalSmartTurnAnalyzerV3:
        """Return a new session's analyzer.

        Args:
            stop_s: seconds of silence after which a turn ends although the speaker did not sound finished.
        """
        return _BorrowedAnalyzer(self._session, SmartTurnParams(stop_secs=stop_s))
