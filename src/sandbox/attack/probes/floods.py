"""Using things up. Each is stopped by a limit, which the execution names; nobody else notices."""

from __future__ import annotations

from sandbox.attack.probe import Flood, by

_MEMORY = by("memory", "memory")

PROBES: tuple[Flood, ...] = (
    Flood(
        "fork-bomb", "start processes without end", "attacks.fork_until_refused()",
        tight={"processes": 32}, causes=by("processes", "processes"),
        roomy={"processes": 64}, roomy_code="assert attacks.children_at_once(40) == 40",
    ),
    Flood(
        "thread-bomb", "start threads without end", "attacks.start_threads(100)",
        tight={"processes": 32}, roomy={"processes": 128}, causes=by("processes", "processes"),
    ),
    Flood(
        "memory", "take all memory, bit by bit", "held = [bytearray(b'x' * 1000000) for _ in range(200)]",
        tight={"memory": 96}, roomy={"memory": 512}, causes=_MEMORY,
    ),
    Flood(
        "memory-by-many", "take it in many processes", "assert attacks.hold_memory_in_children(8, 40 << 20, 0.2) == 8",
        tight={"memory": 128}, roomy={"memory": 1024}, causes={**_MEMORY, **by("memory", "error")},
    ),
    Flood(
        "disk", "fill the disk", "attacks.fill('f', 60, pause=0.01)",
        tight={"disk": 16}, roomy={"disk": 1024}, causes=by("disk", "disk"),
    ),
    Flood(
        "disk-one-file", "fill it with one file", "attacks.fill('f', 1, 40 << 20)",
        tight={"disk": 16}, roomy={"disk": 1024}, causes=by("disk", "disk"),
    ),
    Flood(
        "disk-no-name", "fill it with files that have no name", "attacks.fill_without_names(120)",
        tight={"disk": 16}, roomy={"disk": 1024}, causes=by("disk", "disk"),
    ),
    Flood(
        "temporary-files", "fill /tmp", "attacks.fill_temporary(60)",
        tight={"memory": 64, "disk": 16}, roomy={"memory": 512, "disk": 512}, causes={**by("disk", "disk"), **_MEMORY},
    ),
    Flood(
        "output", "print without end", "[attacks.print_block(100_000) for _ in range(40)]",
        tight={"output": 1}, roomy={"output": 10}, causes=by("output", "output"),
    ),
    Flood(
        "time", "go on for ever and ignore interrupts", "attacks.ignore_interrupts(600)",
        tight={"timeout": 0.3}, roomy={"timeout": 20.0}, causes=by("timeout", "timeout"),
        roomy_code="attacks.ignore_interrupts(0.5)",
    ),
)  # fmt: skip
