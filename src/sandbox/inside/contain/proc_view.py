"""A /proc of its own pid namespace, with the parts that speak of the host masked."""

from .. import kernel
from ..kernel import Call
from .plan import Descriptors, Plan
from .policy import NAMESPACES, Restriction

RESTRICTION = Restriction(
    "proc_view",
    because="/proc shows other processes, the kernel's command line, modules and keys, and takes its settings",
    breaks="tools that read the masked files",
    proof="attack:processes",
    levels=(NAMESPACES,),
)

# The list of moby/oci defaults, and the kernel's command line, configuration, modules and symbols.
MASKED = (
    "acpi",
    "asound",
    "bus",
    "cmdline",
    "config.gz",
    "driver",
    "dynamic_debug",
    "fs",
    "interrupts",
    "irq",
    "kallsyms",
    "kcore",
    "keys",
    "key-users",
    "kmsg",
    "latency_stats",
    "modules",
    "sched_debug",
    "scsi",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
)
EMPTY_FILE, EMPTY_DIRECTORY = "/dev/null", "/.empty"


def calls(plan: Plan, fds: Descriptors) -> list[Call]:
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    return [kernel.mount("proc", "/proc", "proc", flags), *map(_mask, plan.masked)]


def _mask(name: str) -> Call:
    cover = EMPTY_DIRECTORY if name.endswith("/") else EMPTY_FILE
    return kernel.mount(cover, f"/proc/{name.rstrip('/')}", None, kernel.MS_BIND)
