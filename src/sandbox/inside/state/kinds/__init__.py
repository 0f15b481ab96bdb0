"""Reducers and builders, one file for each kind of object. Importing this makes them known."""

from . import (  # noqa: F401
    arrays,
    caches,
    classes,
    errors,
    files,
    frames,
    functions,
    modules,
    objects,
    plain,
    plots,
    refused,
    sets,
    standing,
    threads,
    views,
)
