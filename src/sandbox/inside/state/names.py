"""What code can reach, read off its names: a superset of the global names that it uses, and its imports."""

import opcode
from types import CodeType
from typing import NamedTuple

_EXTENDED = opcode.opmap["EXTENDED_ARG"]
_IMPORT = opcode.opmap["IMPORT_NAME"]
_STORE = opcode.opmap["STORE_ATTR"]
_DELETE = opcode.opmap["DELETE_ATTR"]
_WANTED = frozenset((_IMPORT, _STORE, _DELETE))
_MOST = 4096

_REACHING = """globals locals vars exec eval execfile gc get_objects get_referrers get_referents inspect currentframe
_getframe _current_frames f_globals f_locals f_back tb_frame __globals__ __dict__ __builtins__ __main__ modules ctypes
__import__ import_module __closure__ cell_contents runpy run_path settrace setprofile"""
# Code that mentions one of these may reach any variable without its name standing in it.
ESCAPES = frozenset(_REACHING.split())
# Code that mentions one of these may assign to an attribute whose name is a text in it.
_BY_TEXT = frozenset(("setattr", "delattr", "patch", "monkeypatch"))


class Code(NamedTuple):
    """What a code object mentions, with all code inside it."""

    names: frozenset[str]
    imports: tuple[str, ...]
    stores: frozenset[str]
    defines: bool

    @property
    def escapes(self) -> bool:
        return not ESCAPES.isdisjoint(self.names)


_known: dict[int, tuple[CodeType, Code]] = {}


def read(code: CodeType) -> Code:
    """What `code` mentions. Remembered, since the same functions are asked for again and again."""
    found = _known.get(id(code))
    if found is None:
        if len(_known) >= _MOST:
            _known.clear()
        found = _known[id(code)] = (code, _read(code))
    return found[1]


def _read(code: CodeType) -> Code:
    names, imports, stores = set(code.co_names), [], set()
    inner = [one for one in code.co_consts if type(one) is CodeType]
    for operation, name in _operands(code):
        if operation == _IMPORT:
            imports.append(name)
        else:
            stores.add(name)
    if not _BY_TEXT.isdisjoint(names):
        stores |= {one for one in code.co_consts if type(one) is str and one.isidentifier()}
    for one in map(read, inner):
        names |= one.names
        imports += one.imports
        stores |= one.stores
    return Code(frozenset(names), tuple(imports), frozenset(stores), bool(inner))


def _operands(code: CodeType) -> list[tuple[int, str]]:
    """Imports and assignments to attributes, with the names that they are about."""
    found, instructions, high = [], code.co_code, 0
    for at in range(0, len(instructions), 2):
        operation, argument = instructions[at], instructions[at + 1] | high
        high = argument << 8 if operation == _EXTENDED else 0
        if operation in _WANTED:
            found.append((operation, code.co_names[argument]))
    return found
