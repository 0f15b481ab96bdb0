"""Every case: those that the state code was written with in mind, and those that were held out."""

from __future__ import annotations

from tests.state.corpus.alias import ALIAS
from tests.state.corpus.case import Case
from tests.state.corpus.classes import CLASSES
from tests.state.corpus.data import DATA
from tests.state.corpus.environment import ENVIRONMENT
from tests.state.corpus.functions import FUNCTIONS
from tests.state.corpus.opaque import OPAQUE

CORPUS: list[Case] = [
    case for kind in (DATA, ALIAS, FUNCTIONS, CLASSES, ENVIRONMENT, OPAQUE) for case in kind.cases
]

HELD_OUT: list[Case] = []
