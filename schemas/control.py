"""What can be said besides asking for a task: how is it going, cancel, be quiet, help, say that again, yes and no.

Owns their wordings. ``{task}`` is the name of a kind of task, as templates give it in their title and nouns.
Yes and no are understood only while a question is open.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class ControlIntent(StrEnum):
    """What is meant, where it is not a template."""

    STATUS = "status"
    CANCEL = "cancel"
    QUIET = "quiet"
    HELP = "help"
    OBJECTS = "objects"
    REPEAT = "repeat"
    YES = "yes"
    NO = "no"


CONTROLS = frozenset(ControlIntent)
#: Understood only as the answer to a question.
ANSWERS = frozenset({ControlIntent.YES, ControlIntent.NO})

_STATUS = """
status; what is the status; what is the current status; what is the state of things; status report
give me the status; give me a status report; give me an update; tell me the status; any news; any progress
how is it going; how is that going; how is it coming along; how are we doing; how far is it; how far are you
how far along is it; how far along are you; how far have you got; how much is done; how much is left
how long will it take; how much longer will it take; when will it be done; when will it be finished
what is running; what is running right now; which tasks are running; what tasks are running; is anything running
what are you doing; what are you working on; what is happening; what is going on
are you done; are you finished; are you done yet; is it done; is it done yet; is it finished; is it finished yet
is it ready; is it ready yet; is the task done; is the task finished; is it still running; did it work
what is the status of the task; what is the status of my task; what is the status of my tasks
how is the task going; how is my task doing; how far is the task; how far is my task; check the status
what is the result; what was the result; what are the results; what came out
what is the status of {task}; status of {task}; give me the status of {task}; check the status of {task}
how is {task} going; how is {task} doing; how is {task} coming along; how far is {task}; how far along is {task}
is {task} done; is {task} done yet; is {task} finished; is {task} ready; is {task} still running
when will {task} be done; when will {task} be finished; what is the result of {task}; what was the result of {task}
ready yet; finished yet; still going; is it still going; how much more; what is left; anything yet
any luck yet; what is still running; are you nearly done; is it nearly done; what percentage is it at
how is {task}; {task} status; {task} progress; is {task} through; is {task} through yet
is {task} complete; is {task} ready yet; is {task} finished yet; is {task} still going
are you still {task}; are you done {task}; are you done with {task}
how is {task} getting on; how far have you got with {task}; how long will {task} take; where are we with {task}
"""

_CANCEL = """
cancel; cancel it; cancel that; cancel this; cancel the task; cancel my task; cancel that task; cancel this task
cancel the last task; cancel the current task; cancel the running task; cancel everything; cancel all tasks
stop the task; stop my task; stop that task; stop this task; stop the last task; stop the current task
stop the running task; stop all tasks; abort; abort it; abort that; abort the task; abort my task; kill the task
call it off; call off the task; end the task; terminate the task; never mind the task; forget the task
scrap that; scrap it; drop it; drop that; abandon that; abandon it; halt the task; halt the current task; halt
never mind; forget it; forget about it; i do not want it anymore; i do not need it after all; leave it; quit it
do not bother; do not bother finishing it; quit what you are doing; stop what you are doing; let us stop here
i do not want it any more; i do not need it anymore; drop the task; scrap the task; abandon the task; stop the job
i changed my mind; i have changed my mind
cancel {task}; cancel my {task}; cancel the {task} task; stop {task}; stop my {task}; stop running {task}
abort {task}; kill {task}; call off {task}; end {task}; terminate {task}
stop everything; stop all; kill everything; abort everything; ditch it; ditch that; kill that
scratch that; give it up; give up on it; pull the plug; shut it down; cancel the job; cancel my job; cancel my request
withdraw my request; take that request back
quit {task}; drop {task}; scrap {task}; halt {task}; abandon {task}; forget {task}; give up {task}; give up on {task}
shut down {task}; pull the plug on {task}; no more {task}; put an end to {task}; never mind {task}; ditch {task}
"""

_QUIET = """
stop; stop that; stop it; stop talking; stop speaking; stop there; be quiet; quiet; be silent; silence; hush
shut up; enough; that is enough; okay stop; stop saying that; stop telling me; do not talk
that is enough stop; okay that is enough; that is enough now; no wait stop; no stop; wait stop; stop now; stop it now
quiet down; hold on; wait; wait a moment; wait a minute; pause
"""

_HELP = """
help; help me; i need help; what can i ask; what can i ask you; what can i say; what can i say to you
what can i do; what can i do here; what can you do; what can you do for me; what do you do; what do you know
what do you understand; what are my options; what are the options; what commands are there
which commands are there; what commands do you know; which commands do you know; list the commands
list commands; tell me what you can do; tell me what i can ask; tell me what i can say; show me the commands
how does this work; how do i use this; how does it work; what is this; who are you; what else can you do
which tasks can you do; what tasks can you do; list the templates; what templates are there
which templates are there; what can i ask for
menu; options; examples; give me an example; give me some examples; what are you good for; what are you good at
what are you capable of; how do i use you; how do i talk to you; list everything you can do; list what you can do
what do you offer; is there a menu; what are my choices; what are the choices; remind me what you can do
"""

_OBJECTS = """
what files are there; what files are available; what files do you have; what files do i have; which files are there
which files do you have; which files do you know; what files do you know; list the files; list files
list all files; list all the files; list my files; show me the files; show me my files; show the files
tell me the files; tell me which files there are; what objects are there; which objects are there; list the objects
list objects
what documents are there; which documents are there; list the documents; what reports are there
what is in the store; what is stored; what do you have in the store; what names do you know; read me the file names
what data is there; what data do you have
what have you got; what have you got there; what do you have; what have you got in there; what is in storage
what is in your storage; what is in there; what do you hold; what is available; my files
"""

_REPEAT = """
say that again; say it again; repeat; repeat that; repeat it; repeat that for me; repeat the last sentence
can you say that again; could you say that again; could you repeat that; come again; what did you say
what was that; i did not hear that; i did not get that; i did not catch that; i did not understand that
i missed that; one more time; pardon; pardon me; sorry what was that; sorry what did you say
read that again; tell me again
what did you just say; what did you just tell me; what were you saying; sorry what; say that over; say it over
once more; read it back; read that back to me; run that by me again; play that again; go over that again
"""

_YES = """
yes; yeah; yep; yup; yes that is right; yes that is correct; that is right; that is correct; correct; right; exactly
sure; of course; certainly; okay; okay do it; do it; do that; yes do it; yes do that; go ahead; yes go ahead
go for it
yes i did; yes i do; i do; i did; yes cancel it; yes cancel the task; yes start it; confirm; confirmed; i confirm
affirmative; absolutely; definitely; that is the one; that one; yes that one; sounds good
yes of course; alright; all right
"""

_NO = """
no; nope; nah; no that is wrong; that is wrong; that is not right; wrong; not that; not that one; no not that
no not that one; do not; do not do it; do not do that; no do not; no do not do it; never mind; leave it; forget it
cancel that; no cancel that; no thanks; no thank you; negative; i did not; no i did not; no i do not; i do not
of course not; certainly not; keep it; keep going; keep it running; let it run; no let it run; no keep going
"""


def forms(table: str) -> tuple[str, ...]:
    """The wordings in a table of them, one from the next by a semicolon or a line."""
    return tuple(form.strip() for line in table.splitlines() for form in line.split(";") if form.strip())


#: Every control intent with its wordings.
CONTROL_PATTERNS: Mapping[ControlIntent, tuple[str, ...]] = {
    ControlIntent.STATUS: forms(_STATUS),
    ControlIntent.CANCEL: forms(_CANCEL),
    ControlIntent.QUIET: forms(_QUIET),
    ControlIntent.HELP: forms(_HELP),
    ControlIntent.OBJECTS: forms(_OBJECTS),
    ControlIntent.REPEAT: forms(_REPEAT),
    ControlIntent.YES: forms(_YES),
    ControlIntent.NO: forms(_NO),
}
