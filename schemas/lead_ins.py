"""What people say before a command, and what they say where none is given."""

from __future__ import annotations

from schemas.control import forms

#: What people say before a command.
LEAD_INS = forms(
    """
    hey; hi; hello; okay; so; well; now; right; alright; and; then; and then; also; next; good morning; good evening
    can you; could you; would you; will you; can we; could we; can i; may i; could i; hey can you; okay can you
    so can you; hey could you; and can you; can you also; could you also; now can you; i want you to; i want to
    i would like you to; i would like to; i need you to; i need to; i need; i want; i would like; i would like to have
    i want to have; i would love to have; could i have; can i have; may i have; can i get; would you mind
    would you be so kind to; would you be so kind as to; be so kind and; be so good and; do me a favor and; let us
    let me; go ahead and; go and; try to; start to; start; you should; you can; you could; it would be nice to
    tell me; show me; give me; get me; find out; can you tell me; could you tell me; do you know; i would like to know
    i want to know; i need to know; i wonder; let me know; computer; okay computer; hey computer; sisyphus
    hey sisyphus; okay sisyphus; first; first of all; sorry; excuse me; oh; yes; yeah; thank you; thanks; okay thanks
    great; okay great; no wait; actually; okay now; right now; what i want is; what i need is; is it possible to
    is there a way to
"""
)

#: What people say between a lead-in and the name of what they ask for: "could you | work out | the checksum of …".
CARRIERS = forms(
    """
    do; do me; do us; make; make me; make us; run; create; generate; produce; compute; calculate; prepare; perform
    give; get; fetch; fetch me; bring me; have; figure out; work out; find out; carry out; draw up; come up with
    put together; throw together; whip up; build; build me; write; write me; provide; provide me with; start
    start off; kick off; launch; begin; take; see; see if you can; hear; look up; determine; establish; tell us
    show us; let us have; let us do; let us get; let us see; what is; what would be; what was; i am looking for
    i am after; i wonder if you could; i was wondering if you could; i was hoping you could; would it be possible to
    might you; might i have; do you think you could; do you mind; any chance you could; any chance of; how about
    maybe; perhaps; quickly; real quick; just; once you are free; when you can; when you have a moment
    when you get a chance; if you can; if you could; if possible; um; uh; hi there; hello there; hey there
    good afternoon; i think i; i will need; i will have; we need; we need to; we would like; we would like to; we want
    check; i want to check; we want to; i am going to need; i am gonna need; gonna need; i could use; i wanna
    i wanna know; i gotta; help me
    help me to; please; so; yes please; all right; listen; right then; quick question; one question
    it would be great if you could; it would be great to; it would be good to; it would be helpful to
    i would appreciate; i would be grateful for; i would love; i would love to; i would love to know
    i would love to see; i am curious; is there any chance you could; is there a chance you could
    would you be able to; are you able to; will you be able to; i am trying to; i am asking for; i am interested in
    i am; may i ask you to; may i ask for; can i ask you to; how about you; what about; i would be glad to have
    i would be happy to have; i would feel better if you; go; next up; first up; i would appreciate it if you
    what do you get when you; get going with; get going on; get started on; set off; conduct; execute; trigger
    fire up; use; apply; please see that; make sure that; see to it that; no rush; no hurry
    if it is not too much trouble; yes; um could you; we could use; i could do with; working out; making; making me
    doing; running; giving me; getting; getting me; finding out; telling me; showing me; preparing; creating
    generating; calculating; computing; figuring out; to have; to get; to see; to hear; to know; i want to see
    i would like to see; i need to see; let me see; let me have; is there a way you could; is there any way you could
    is there a way to get; is there any way to; could we get; would you be so good as to; would you be good enough to
    might i trouble you to; i would be obliged for; yo; i wonder if you might; i reckon you oughta; could you like
    can you like; quick one; hey quick one; love; dear; sweetheart; i require; we require; have a go at; whack; chuck
    chuck us; gimme; get us; do one; one; need; needs; find; find me; say; count me; i would need; we would need
    right; wee; full; away and; can you just; could you just; take your time; take your time and
    take all the time you need; take all the time you need and; any idea; go ahead with; gonnae; gonnae give us
    gie me; i have been asked; just give me; tell me what; like; list; list me; name; name me; pick out; send me
    explain; hand me; pass me; point me; for; with; regarding; about; as for; when it comes to
    next thing; okay next thing; i was wondering; i would like that you; we are after; i was asked for
    i am new here; i am stuck
    i am wondering; be a dear and; be so kind as to; be an angel and; assistant; hey assistant
    """
)

#: What people say before the name when they name it first: "open | the letter and count its words".
OPENERS = forms(
    """
    open; open up; read; read through; go to; go into; grab; load; have a look at; look at; check; crack open; put
    take
    """
)

#: What people say before the words of a command without giving one.
NO_COMMAND_LEAD_INS = forms(
    """
    do not; no do not; never; please never; you must not; you should not; do not ever; i do not want you to
    i do not want to; i would not; i did not ask you to; i did not; i do not need you to; i do not need to
    nobody should; we should not; somebody should; someone should; they should; he should; she should; people should
    did you; have you; had you; did i; did he; did she; did they; have we; has anybody; who; who will; who did
    did somebody; why did you; why do you; why would you; why should i; when did you; when will you; when should i
    how do you; how did you; how would you; how can i; how do i; how would i; how should i; what happens if you
    what if you; what if i; what if we; he said; she said; they said; he asked me to; she asked me to
    they asked me to; my boss told me to; he told me to; yesterday i; yesterday we; last week i; tomorrow i will
    tomorrow we will; later i will; i will; we will; i already; i have already; we already; you already; you did
    you have; i had to; we had to; i used to; i tried to; i was going to; if you; if i; if we; when you; when i
    before you; after you; after i; after we; unless you; instead of; it is hard to; it is easy to
    it is fun to; it is boring to; i love to; i hate to; i like to; they never; he never; she never; i forgot to
    remember to; remind me to; remind me tomorrow to; let me think; i know how; you can not; what is in the news
    what is on the news
    do you ever; did you ever; have you ever; will you ever; i am going to; i am not going to; i am about to
"""
)

#: Pairs of words that deny what comes after them: a model that has never seen it denied would take it for asked.
DENIED = frozenset(
    tuple(pair.split())
    for pair in forms(
        """
        not want; not need; not have; not ask; not bother; not going; not you; not be; not get; not make; not do
        we might; i might; they might; he might; she might; might think; think about; thinking about; thought about
        told me; told us; told him; told her
        no need; no reason; no point; we ever; i ever; never ever; not even; nobody should; no longer
        """
    )
)
