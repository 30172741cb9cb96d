"""How people ask for status, help and the like in free wordings: the notation is that of `schemas.keyword_notation`."""

from __future__ import annotations

from collections.abc import Mapping

from schemas.control import ControlIntent, forms

#: Every control intent with its key words; yes and no have none, they are said alone.
CONTROL_KEYWORDS: Mapping[ControlIntent, tuple[str, ...]] = {
    ControlIntent.STATUS: forms(
        """
        (status|progress) [current|latest|update|report|so|far|task|job|what|how|is]
        (status|progress) [update|report] {task}; (news|update) [any|status|progress|so|far|task|job]
        (how) {task} (going|coming along|doing|getting on|progressing)
        (how|where) (going|coming along|stand|getting on|are we|far along|far) [things|task|job]; how (task|job) doing
        (how much longer|how long|how much) [along|left|done|take|it|task]; how far {task}; how much longer {task}
        (task|job|that|it) (done|finished|complete|completed|ready|running) [still|yet|whether|is|has|have]
        {task} (done|finished|complete|completed|ready|running) [still|yet]
        are you (done|finished|busy|working|ready) [still|yet|that|with|task|job]
        what you (doing|working on) [right|now|moment]; (has|is) {task} gone through [my]
        anything (running|happening|going on) [is|moment]; what percentage [completed|done]; (update) {task}
        are we (there|done|finished) [nearly|almost] (task|job); are we (done|finished) [yet]
        still (running|working|busy); where are you up to; where (have|are) we (got to|at|up to)
        what (happening|going on) [the|job|task|jobs|tasks|with]; are you nearly there
        (where) things stand
        """
    ),
    ControlIntent.CANCEL: forms(
        """
        (cancel|cancelling|canceling|abort) [stop|what|you|doing|i|changed|mind|never|forget|no]
        (cancel|cancelling|canceling|abort) [current|running|last|task|job]
        (stop|kill|end|terminate|drop|scrap|call off|quit) (task|job|tasks|jobs) [current|running|last]
        (stop|kill|end|drop|scrap) (task|job|tasks|jobs) [i|changed|mind|never]
        (cancel|abort|kill|drop|scrap|quit) (everything|all) [tasks|jobs]; (task|job) (canceled|cancelled|stopped)
        wrong one (stop|cancel) [that|is]; (cancel|abort|scrap|kill|drop) {task} [i|picked|wrong|one|file|files]
        stop now not need it [i|do|anymore|any|more]; leave it not bother [do]
        i changed my mind (cancel|stop|abort|kill|drop|leave) [task|job|current|running|last|that|what|doing|you]
        hold on (cancel|stop) [task|job]; not want it (cancel|stop) [i|do|anymore|any|more]; stop here drop [task|job]
        leave it not need it [i|do|after|all]
        never mind (cancel|stop|abort|kill|drop) [task|job|current|running|last]
        never mind (cancel|stop|abort|kill|drop|scrap) {task}; stop what doing cancel [task|job]
        (stop|cancel|abort) (working|work) on [task|job]
        (stop|cancel|abort|call off) (whatever|what) you (doing|running|working on)
        i changed my mind (cancel|stop|abort|call off|kill|drop) {task}; (cancel|stop|abort|kill) {task} [task|job]
        """
    ),
    ControlIntent.HELP: forms(
        """
        what (can|could|may|am|should) (i|you) [sort|kind|sorts|kinds|things|tasks|able|allowed|ask|say|do]
        what (can|could|may|should) (i|you) [ask|say|do|all|help|with|for]
        what (i|you) (can|could|may|able) [do|ask|say|request|for|all]
        what you (able|capable) [do|of|are|things|sort|kind|sorts|kinds|all]
        (what|which) (tasks|commands|requests|things) [can|could|do|i|you|sort|kind|of|are|handle|know|ask|say]
        (what|which) (tasks|commands|requests) [can|do|i|you|understand|kind|of]
        (list|show|tell|available|possible|your) commands [available|possible|there]; what options
        (your|my) (commands|options) [list|show]
        (things|tasks|commands|everything) (i|you) (ask|say|do|know|understand|help) [can|could|with|all]
        (some help|need help|get help|help with|with help|help me) [what|say|do|commands|out|with]; help out
        examples (ask|say) [what|some|of|can|i|to]; how (do|can|should) (i) (use|talk) [you|this|to]
        what (do|can) you (do|offer|handle|support|understand|know); explain what you can do
        your (features|abilities|skills) [walk|me|through|would|you]; list commands; show how to use [me|you]
        i am stuck; i am new here; not know what (say|ask) [i|do|can|to|you]; what kind tasks you (do|handle|know)
        [is|there] list of commands
        """
    ),
    ControlIntent.OBJECTS: forms(
        """
        (what|which) (files|documents|objects|data) [kind|of|got|can|know|available|exist|ask|use]
        (what|which) (files|documents|objects|data) [pick|choose|stored|and]
        (what|which) (texts|tables) [kind|of|got|can|know|available|and]
        (list|show|name|read|see|tell) (files|documents|objects) [available|names|file|object|stored|list|work|can|out]
        (names|list|collection|available|stored) (files|documents|objects) [there]
        (files|documents) (there|available)
        (files|documents|objects) i (use|choose from|pick from|work with|ask for|have) [can|any|are|there]
        way of files [what|have|i|got|here]; (what|which) files [folders|can|do|you|work|about|with|see]
        what (pick|choose) from
        what have you got in there; (file|object|document) list [show]
        (called) list [files|forgot|i|what|you]; (list|names) everything [got|stored|of]; what available
        what (stored|in the store)
        (files|documents) you (have|know) [can]; (show|list|name|run through|see) available (files|documents|objects)
        """
    ),
    ControlIntent.REPEAT: forms(
        """
        (repeat|repeating) [last|what|said|answer|sentence|bit|part|thing|words|again]
        (repeat|repeating) [did|not|catch|hear|get|sorry|missed|i|last|bit|part]
        (say|tell|hear|read|run) (again|once more|one more time|over) [by|last|bit|part|answer|sentence|that]
        (missed|not catch|not hear|not get|not understand) (again|once more|one more time) [i|did|say|tell|you|it]
        (missed|not catch|not hear|not get|not understand) (say|repeat|tell) [i|did|you|it|once|more|again]
        (answer|result) again [last|was|what]; not hear you [i|did]; (again) [please|tell|that]; sorry what
        go over that again; (missed) again [i|that|say|tell]; (get|have) (again|once more|one more time) [sorry|that]
        (once more|one more time) [slowly|sorry]; what did you say [just|sorry]; beg your pardon [i]
        come again [i|did|not|catch|hear|that|get]
        (not catch|not hear|not get|missed|not understand) what did you say [i|that]
        (again|once more|one more time) not listening [i|was]; what was that [again|last|sorry]; pardon what
        """
    ),
}
