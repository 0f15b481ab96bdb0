"""Reducers and builders, one file for each kind of object. Importing this makes them known."""

from . import (  # noqa: F401
    arrays,
    classes,
    errors,
    files,
    frames,
    functions,
    modules,
    plain,
    refused,
    threads,
    views,
)
