"""SmartTurn v3.2, loaded once for all sessions: says whether a speaker sounds finished.

Pipecat's analyzer loads the model per session; here a session's analyzer borrows the one that is loaded
(12 MB and 50 ms of a blocked event loop less per session). ONNX sessions may run from several threads.
"""

from __future__ import annotations

from typing import Any, cast

from pipecat.audio.turn.smart_turn.base_smart_turn import BaseSmartTurn, SmartTurnParams
from pipecat.audio.turn.smart_turn.local_smart_turn_v3 import LocalSmartTurnAnalyzerV3


class _BorrowedAnalyzer(LocalSmartTurnAnalyzerV3):
    """One session's analyzer around a model that is already loaded."""

    def __init__(self, loaded: LocalSmartTurnAnalyzerV3, params: SmartTurnParams) -> None:
        # Past the parent's own constructor on purpose: it is the one that loads the model.
        BaseSmartTurn.__init__(self, params=params)
        self._session = cast("Any", loaded)._session  # noqa: SLF001 - there is no public way to share it
        self._log_data = False


class TurnModel:
    """The loaded model. Its construction blocks for about 50 ms; do it off the event loop."""

    def __init__(self) -> None:
        self._loaded = LocalSmartTurnAnalyzerV3()

    def analyzer(self, stop_s: float) -> LocalSmartTurnAnalyzerV3:
        """Return a new session's analyzer.

        Args:
            stop_s: seconds of silence after which a turn ends although the speaker did not sound finished.
        """
        return _BorrowedAnalyzer(self._loaded, SmartTurnParams(stop_secs=stop_s))
