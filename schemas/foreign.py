"""What people ask to be done to files, or about them, and no template does: it is near to what one does."""

from __future__ import annotations

from schemas.control import forms

#: The intent of what is asked for, but done by nothing here.
FOREIGN = "!"
FOREIGN_VERBS = forms(
    """
    delete; undo; remove; erase; wipe; shred; destroy; burn; open; close; print; print out; send; email; mail; post; fax
    forward; share; upload; download; move; copy; rename; edit; change; fix; correct; update; rewrite; write; draw
    read; read out; read me; read aloud; unzip; unpack; decompress; extract; decrypt; encrypt; translate; sign; scan
    format; sort; filter; merge; join; split; cut; convert; replace; restore; save; store; keep; hide; show; show me
    play; watch; look at; listen to; see; get; use; take; put; hand me; bring me; buy; sell; order; book; call; test
    check; review; approve; describe; explain; like; love; hate; forget; remember; talk about; discuss; lock; unlock
    publish; attach; tag; label; link; back away from; load; import; export; where is; what is; who wrote; when was
    """
)
#: The same of two files.
FOREIGN_PAIRS = ("merge", "join", "combine", "replace", "swap", "mix")
#: The same in one word, but for what people say to hear of a result: "and tell me", "and see".
DOING_MORE = frozenset(verb for verb in FOREIGN_VERBS if " " not in verb) - {
    "see",
    "show",
    "get",
    "use",
    "take",
    "put",
    "check",
}
