"""A directory and an environment for peers: nothing of the user's is read or written, and caches are warm."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def surroundings() -> Iterator[dict[str, str]]:
    """Yield environment variables that lead to a temporary directory, which is gone afterwards.

    The backend and the numbers of threads are what our workers have, so that the imports are the same work.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        variables = {**os.environ, "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        for variable in ("MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
            directory = Path(name, variable.lower())
            directory.mkdir(mode=0o700)
            variables[variable] = str(directory)
        yield variables
