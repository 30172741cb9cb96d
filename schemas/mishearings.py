"""What recognisers write for the key words of requests, where it is not like them by letters or sound alone.

Found by holding what was said in `benchmarks/corpus` against what was heard. They are only proposals: what is put in
their place is held against the sound (`schemas.repair`).
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.wording import plain

_MISHEARD = {
    "audit": """
        or did; i will get; update; object; edit; order; ordered; all did; odd it; odd at; on it; or it; how did; audio
        audience; orbit; or get; bit; outfit; all it; all of it; of it
        """,
    "audits": "outfits; objects; orders; or its; edits; updates",
    "audited": "all get it; edited; ordered; all did it; updated",
    "checksum": """
        check some; check some of; checks and; checks; checks in; checks on; checks him; check them; checks them
        checks among; that check some; check sum; checks sum
        """,
    "zip": "live; sip; is it; flip; nib; lip; pip; nip; whip; set; ship; six; tip; it; his it; zap; zit; does it; zeta",
    "zipped": "sipped; ships; it; whipped; tipped; removed",
    "you zip": "use it; you sip; use a; use if",
    "summarize": """
        summer eyes; some errors; somewhere is; somewhere as; some there is; some airs; some rice; sum theirs; samurais
        so there is; somehow as; summer is; summer as; some of the rise; summarised; summer i; some arise
        """,
    "compress": "can press; press; comprised; compressor; come press; compass; congress; can presser; impress",
    "hash": "hush; harsh; has; hatch; passion; harsh on; cash; hashtag; ash",
    "pipeline": "by applying; by plying; by line; i plan; by flying; pie plan; pipe line; i like; by applying it",
    "word count": "account; workout; work out; your account; where count; would count",
    "words": "towards; would; worlds; word; wards",
    "folder": "older; filter; photo; holder; fold a",
    "compare": "pair; come pair; can pair; prepare; come where",
    "comparison": "compassion; compare is in; can perish an",
    "pack": "back; park; pick",
}


def misheard() -> Mapping[str, tuple[str, ...]]:
    """For what may be written the key words that may have been said, in plain spelling."""
    found: dict[str, tuple[str, ...]] = {}
    for meant, listed in _MISHEARD.items():
        for written in listed.replace("\n", ";").split(";"):
            if said := plain(written):
                found[said] = (*found.get(said, ()), meant)
    return found
