"""The worker's half of a session's state: what an execution changed goes out, a checkpoint comes back in.

`Saver` works out what changed and makes a *delta* of it: records that put, patch and drop *parts*. Names whose values
share objects are one *group*; large memory is beside the groups' pickles, so that of an array only the pages that
were written go out. Which names to look at is read off the code that ran (`names`). `registry` and `kinds` say how
each kind of object is pickled; `restore` and `loader` are the way back. What cannot be kept is a `Lost`.
"""

from .index import DamagedIndex
from .lost import Lost, StateLost
from .parts import Extent, Parts, Place
from .saver import Delta, Saver

__all__ = ["DamagedIndex", "Delta", "Extent", "Lost", "Parts", "Place", "Saver", "StateLost"]
