"""What recognisers write for the key words of requests, where it is not like them by letters or sound alone.

Found by holding what was said in `benchmarks/corpus` against what was heard. They are only proposals: what is put in
their place is held against the sound (`schemas.repair`).
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.wording import plain

_MISHEARD = {
    "audit": """
        or did; i will get; update; object; edit; order; ordered; all did; odd it; odd at; on it; or it; audio
        audience; orbit; or get; bit; outfit; all it; all of it; of it; i will did; hearted; i will do; all that; art at
        audio to; are did to; out at; out depends; at it; board it; odip; odd if; albeit; old it; or dip; old bit
        all bit; odd bit; added
        """,
    "audits": "outfits; objects; orders; or its; edits; updates",
    "audited": "all get it; edited; ordered; all did it; updated; all did not; odd it a; targeted",
    "slow audit": """
        solid; little bit; solve it; soul of it; so i will get; so audits; slower bit; so all the; sawed it; saw did
        slaughter did; slower did; slow or did; slow audience; soul audit; solid hammer; this law did; slow did
        """,
    "checksum": """
        check some; check some of; checks and; checks; checks in; checks on; checks him; check them; checks them
        checks among; that check some; check sum; checks sum; checksome; checksam; check soon; church some; custom
        choke some; chuck some; churchum; catch some; cat some; jackson
        """,
    "a checksum": "to check some; it check some; it checks and; my checks; i check some; to check them; it checks some",
    "do a checksum": "to check some; to check some of; do check some",
    "zip": """
        live; sip; is it; flip; nib; lip; pip; nip; whip; set; ship; six; tip; it; his it; zap; zit; does it; zeta; sick
        is that; dip; rip; tube; loop; lit; minute; slip; the essay; seep; zig; zett; z it; zick; as it; as if; lib; sup
        stick; hip; zipp; lift
        """,
    "zip it": "repeat; little bit; lip it; a bit; a little bit; nip it",
    "zip up": "see if i put; zippuck; z put; sip up",
    "zipped": "sipped; ships; it; whipped; tipped; removed; lipped; lip; nipped; is up to; dipped; lived",
    "you zip": "use it; you sip; use a; use if",
    "summarize": """
        summer eyes; some errors; somewhere is; somewhere as; some there is; some airs; some rice; sum theirs; samurais
        so there is; somehow as; summer is; summer as; some of the rise; summarised; summer i; some arise; summer ice
        samurai is; some rise of
        """,
    "compress": """
        can press; press; comprised; compressor; come press; compass; congress; can presser; impress; con press
        and press
        """,
    "compressed": "can press; can rest",
    "squash": "wash; squad",
    "hash": "hush; harsh; has; hatch; passion; harsh on; cash; hashtag; ash; house; wish",
    "pipeline": """
        by applying; by plying; by line; i plan; by flying; pie plan; pipe line; i like; by applying it; by blind
        by plan; type line; type land; outline; paper line
        """,
    "word count": """
        account; workout; work out; your account; where count; would count; work on; work on the
        we are counting; recount
        """,
    "do a word count": "due to account; due to the account; dual account; do account",
    "words": "towards; would; worlds; word; wards; where does; lords",
    "top words": "pop words; pop wards; popboards; poppers; poplar; poplars; upwards; pop ups",
    "folder": """
        older; filter; photo; holder; fold a; fold and; fold them; full or; fold or; folded; full of her; full of your
        of older; further; fold; fall over; for all of them; for order
        """,
    "folder in": "filled with; fold in",
    "columns": "collins; colons; callings",
    "compare": "pair; come pair; can pair; prepare; come where",
    "comparison": "compassion; compare is in; can perish an",
    "look up": "luke up; loop up",
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
