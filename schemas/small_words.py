"""The small words of English, by what they may do in a request. Words of content stand in templates, never here."""

from __future__ import annotations


def words(listed: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(listed.split())


#: Stand before a name and belong to it.
ARTICLES = words("the a an my our your this that")
#: Change nothing between key words and around names.
GLUE = words(
    """
    a an the this that these those some any all every each my our your its their whole entire complete full single
    of in on for from to with at by through into over up down as and or inside within about between using
    it them me us you i we there here is are be being been does do has have had will would can could should must
    need needs want like get gets got make made give take let so just also one
    file files document documents text texts table tables
    go goes going put see tell show know used
    quick short brief little simple proper nice nicely quickly maybe really
    """
)
#: May stand between two lead-ins, and before the first key word.
BETWEEN_LEAD_INS = words(
    """
    a an the some any all me us to of for in with on and
    quick short brief little simple proper nice new really very good whole full
    """
)
#: People put them behind a command; a name ends before them.
BEHIND = words("please thanks thank you now quickly today real quick too though then again anyway altogether")
#: People go on with them when they have said what they want.
GOING_ON = words("for so because i we since it csv asap")
#: Say something of a thing; and ask for something after that: "the letter | is too big, so | zip it".
STATING, HENCE = (
    words("is are has have feels feel looks look takes take seems seem and so was were got"),
    words("so please and just you to now"),
)
#: Right behind a name they tell something of it: "the access log | is full".
PREDICATES = words("is are was were can has have had will would should stays looks seems needs")
#: Somebody wishes for something to be done.
WISHING = words(
    """
    need needs want like love have get must should could can would let see give make put take turn
    """
)
#: Behind them it is told that something was done, or asked whether it was.
HAVING = words("have has had was were been is are being got")
#: Behind them nothing is asked for: it is told, denied, or somebody else's business.
TELLING = words(
    """
    not never no said says asked asks told tells did who why when if unless until yesterday he she they was were
    had instead than without hates hate forgot used nobody somebody avoid avoiding stop stopped cancel ever wait would
    """
)
#: Behind them something is only supposed, or somebody else's business, even where a "so" follows.
SUPPOSING = words("if unless when until whether who why instead without yesterday he she said says tells")
#: Behind them "so" begins nothing: "he did not say so".
NOT_SO = words("not say said do did think never be")
#: Somebody wants it to be so: "i want it to be zipped".
WANTING = words("need needs want wants like love could can")
#: Before "be" they ask for it: "the letter should be zipped".
DEMANDING = words("should must")
#: Point back to what was named before.
AGAIN = words("it its them their that those and")
#: Take back what was said before them.
DENYING = words("not never no nobody said told asked cancel stop wait but")
#: With these words people begin again: "look for bearing, sorry, bearing noise", "the five, no, six commonest words".
ANEW = words("sorry no mean rather")
#: What is made, behind how it is made: "a zipped copy".
MADE = words("version copy form file archive zip summary words")

#: May come, go or replace each other where a pattern is only near to what was said.
LIGHT = words(
    """
    a an the this that these those some any all every each my our your its of in on for from to with at by through into
    over up out as and or it them me us there here is are was be do does has have had will would can could
    get give make take run tell show create start file files document documents text so okay now then what
    """
)
#: The few of them that may do so in a name.
LIGHT_IN_NAMES = words("a an the this that my our your of in for from to and file files document text table folder")
#: Kinds of things, which people say behind a name whether or not they belong to it.
KINDS = words("log report list recipe notes note letter record records data sheet spreadsheet page paper story")
