"""Every case: those that the state code was written with in mind, and those that were held out."""

from __future__ import annotations

from tests.state.corpus.alias import ALIAS
from tests.state.corpus.case import Case, Kind
from tests.state.corpus.classes import CLASSES
from tests.state.corpus.data import DATA
from tests.state.corpus.environment import ENVIRONMENT
from tests.state.corpus.functions import FUNCTIONS
from tests.state.corpus.heldout_ambient import AMBIENT
from tests.state.corpus.heldout_arrays import ARRAYS
from tests.state.corpus.heldout_classes import CLASSES as MORE_CLASSES
from tests.state.corpus.heldout_frames import FRAMES
from tests.state.corpus.heldout_functions import FUNCTIONS as MORE_FUNCTIONS
from tests.state.corpus.heldout_libraries import LIBRARIES
from tests.state.corpus.heldout_outside import OUTSIDE
from tests.state.corpus.heldout_reach import REACH
from tests.state.corpus.heldout_standard import STANDARD
from tests.state.corpus.heldout_traps import TRAPS
from tests.state.corpus.opaque import OPAQUE


def _cases(*kinds: Kind) -> list[Case]:
    return [case for kind in kinds for case in kind.cases]


CORPUS = _cases(DATA, ALIAS, FUNCTIONS, CLASSES, ENVIRONMENT, OPAQUE)
HELD_OUT = _cases(REACH, FRAMES, ARRAYS, LIBRARIES, MORE_FUNCTIONS, MORE_CLASSES, STANDARD, AMBIENT, OUTSIDE, TRAPS)
