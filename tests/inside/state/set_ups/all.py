"""Every set-up, by the mechanism that it is about."""

from __future__ import annotations

from tests.inside.state.set_ups.ambient import AMBIENT
from tests.inside.state.set_ups.arrays import ARRAYS
from tests.inside.state.set_ups.classes import CLASSES
from tests.inside.state.set_ups.functions import FUNCTIONS
from tests.inside.state.set_ups.libraries import LIBRARIES
from tests.inside.state.set_ups.standard import STANDARD
from tests.inside.state.set_ups.traps import TRAPS

KINDS = (AMBIENT, ARRAYS, CLASSES, FUNCTIONS, LIBRARIES, STANDARD, TRAPS)
SET_UPS = [case for kind in KINDS for case in kind.cases]
