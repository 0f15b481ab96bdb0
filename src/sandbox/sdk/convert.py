"""From the options as users write them to the form that travels."""

from __future__ import annotations

import os

from sandbox.options import Environment, Mount, SandboxOptions
from sandbox.protocol.messages import EnvironmentSpec, MountSpec, SessionOptions


def session_options(options: SandboxOptions) -> SessionOptions:
    """Return the wire's form of `options`."""
    return SessionOptions(
        name=options.name,
        memory=int(options.memory),
        cpus=float(options.cpus),
        timeout=options.timeout,
        env=dict(options.env),
        isolation=options.isolation,
        environment=_environment(options.environment),
        network=options.network,
        files=tuple(_mount(target, source) for target, source in options.files.items()),
        processes=options.processes,
        disk=options.disk,
        output=float(options.output),
        without=options.without,
        persist=options.persist,
        idle_timeout=options.idle_timeout,
        storage=options.storage,
        checkpoints=options.checkpoints,
        language=options.language,
    )


def _environment(value: str | os.PathLike[str] | Environment | None) -> EnvironmentSpec:
    if value is None:
        return EnvironmentSpec()
    if isinstance(value, Environment):
        return EnvironmentSpec(None, value.python, value.packages, value.warm, value.allow_source_builds)
    return EnvironmentSpec(path=os.path.abspath(os.path.expanduser(value)))


def _mount(target: str, source: str | os.PathLike[str] | Mount) -> MountSpec:
    mount = source if isinstance(source, Mount) else Mount(source)
    return MountSpec(target, os.path.abspath(os.path.expanduser(mount.path)), mount.writable)
