"""Values of the standard library."""

import sys

from tests.state.corpus.case import Kind

STANDARD = Kind("standard")

STANDARD.case(
    "containers_of_collections",
    """
    from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict, deque, namedtuple
    defaults = {"a": 1}; mine = {}; settings = ChainMap(mine, defaults); window = deque(maxlen=3)
    # %%
    tree = lambda: defaultdict(tree)
    root = tree(); root["a"]["b"]["c"] = 1
    # %%
    mine["b"] = 2; window.extend(range(5)); order = OrderedDict([("x", 1), ("y", 2)]); order.move_to_end("x")
    class Names(UserDict):
        def __setitem__(self, k, v):
            super().__setitem__(k.lower(), v)
    names = Names(A=1)
    """,
    """
    assert settings["b"] == 2 and settings.maps[0] is mine and list(window) == [2, 3, 4] and list(order) == ["y", "x"]
    assert root["a"]["b"]["c"] == 1 and root["new"]["deep"] == {} and names["a"] == 1
    names["B"] = 2
    assert list(names) == ["a", "b"] and type(root["q"]) is defaultdict
    """,
)

STANDARD.case(
    "numbers_and_times",
    """
    import datetime as dt
    from decimal import Decimal
    from fractions import Fraction
    from zoneinfo import ZoneInfo
    class Shift(dt.tzinfo):
        def utcoffset(self, when):
            return dt.timedelta(minutes=45)
        def dst(self, when):
            return None
        def tzname(self, when):
            return "SHIFT"
    # %%
    berlin = ZoneInfo("Europe/Berlin"); odd = Shift()
    when = dt.datetime(2024, 10, 27, 2, 30, tzinfo=berlin, fold=1); at = dt.datetime(2024, 1, 1, tzinfo=odd)
    # %%
    amounts = [Decimal("0.10"), Decimal("NaN"), Fraction(2, 6), float("nan"), float("inf"), -0.0, 2**200]
    span = dt.timedelta(days=1.5); clock = dt.time(1, 2, tzinfo=dt.timezone.utc)
    """,
    """
    assert when.utcoffset() == dt.timedelta(hours=1) and when.tzinfo is berlin is ZoneInfo("Europe/Berlin")
    assert at.tzinfo is odd and at.utcoffset() == dt.timedelta(minutes=45) and str(amounts[0]) == "0.10"
    assert amounts[1].is_nan() and amounts[3] != amounts[3] and str(amounts[5]) == "-0.0" and amounts[6] == 2**200
    assert span.total_seconds() == 129600 and clock.tzinfo is dt.timezone.utc
    """,
)

STANDARD.case(
    "bytes_and_buffers",
    """
    import array, struct
    blob = bytes(range(256)) * 4000; mutable = bytearray(200_000); codec = struct.Struct("<Id")
    ints = array.array("i", range(50_000))
    # %%
    window = memoryview(mutable)[1000:2000]; as_ints = memoryview(ints)[10:20]; fixed = memoryview(b"abcdef")[2:4]
    # %%
    window[0] = 255; as_ints[0] = -1
    # %%
    codec.pack_into(mutable, 5000, 7, 1.5)
    """,
    """
    assert mutable[1000] == 255 and ints[10] == -1 and codec.unpack_from(mutable, 5000) == (7, 1.5) and blob[257] == 1
    window[1] = 254; as_ints[1] = -2
    assert mutable[1001] == 254 and ints[11] == -2 and bytes(fixed) == b"cd" and fixed.readonly
    """,
)

STANDARD.case(
    "iterators_mid_way",
    """
    import itertools
    source = [10, 20, 30, 40]
    walk = iter(source); pairs = itertools.pairwise("abcd"); some = itertools.islice(range(100), 2, 50, 3)
    rows = zip(source, "abcd"); merged = itertools.chain.from_iterable([[1, 2], [3]])
    items = iter({"a": 1, "b": 2}.items())
    # %%
    next(walk); next(pairs); next(some); next(rows); next(merged); next(items)
    first = map(str.upper, "xyz"); next(first); even = filter(lambda n: n % 2 == 0, range(9)); next(even)
    # %%
    source.append(50)
    a, b = itertools.tee(range(4)); next(a)
    """,
    """
    assert list(walk) == [20, 30, 40, 50] and next(pairs) == ("b", "c") and next(some) == 5 and next(rows) == (20, "b")
    assert list(merged) == [2, 3] and list(items) == [("b", 2)] and list(first) == ["Y", "Z"] and next(even) == 2
    assert list(a) == [1, 2, 3] and list(b) == [0, 1, 2, 3]
    """,
    lost=["pairs", "items", *(("some", "merged", "a", "b") if sys.version_info >= (3, 14) else ())],
    still="""
    source.append(60)
    assert list(walk) == [20, 30, 40, 50, 60] and next(rows) == (20, "b")
    """,
)

STANDARD.case(
    "iterator_over_a_generator",
    """
    def lines():
        yield "a"
        yield "b"
    # %%
    numbered = enumerate(lines()); nested = {"it": iter(lines())}
    next(numbered)
    fine = [1, 2]
    """,
    """
    assert next(numbered) == (1, "b") and next(nested["it"]) == "a"
    """,
    lost=["numbered", "nested"],
    still="assert fine == [1, 2] and list(lines()) == ['a', 'b']",
)

STANDARD.case(
    "heaps_and_sorted_lists",
    """
    import bisect, heapq
    heap = []
    class Job:
        def __init__(self, n):
            self.n = n
        def __lt__(self, other):
            return self.n < other.n
    # %%
    for n in (5, 1, 3):
        heapq.heappush(heap, (n, Job(n)))
    ordered = [1, 5, 9]
    # %%
    bisect.insort(ordered, 4); first = heapq.heappop(heap)
    """,
    """
    assert first[0] == 1 and heapq.heappop(heap)[1].n == 3 and ordered == [1, 4, 5, 9] and type(first[1]) is Job
    """,
)

STANDARD.case(
    "patterns_and_matches",
    """
    import re
    pattern = re.compile(r"(?P<key>\\w+)=(?P<value>\\d+)", re.VERBOSE | re.IGNORECASE)
    match = pattern.search("  Ab=12 cd=3", 1)
    # %%
    found = list(pattern.finditer("a=1 b=2")); scanner = pattern.finditer("a=1 b=2")
    next(scanner)
    """,
    """
    assert match["key"] == "Ab" and match.span("value") == (5, 7) and match.pos == 1 and match.re is pattern
    assert [m["value"] for m in found] == ["1", "2"] and found[1].start() == 4 and next(scanner)["key"] == "b"
    """,
    lost=["scanner"],
    still="assert match['key'] == 'Ab' and match.pos == 1 and [m['value'] for m in found] == ['1', '2']",
)

STANDARD.case(
    "paths_addresses_and_ids",
    """
    import ipaddress, pathlib, uuid
    from urllib.parse import urlparse
    class DataPath(type(pathlib.Path())):
        def shout(self):
            return str(self).upper()
    # %%
    path = DataPath("a") / "b.txt"; net = ipaddress.ip_network("10.0.0.0/30")
    ident = uuid.uuid5(uuid.NAMESPACE_DNS, "x")
    url = urlparse("http://h/p?q=1"); host = next(net.hosts())
    """,
    """
    assert type(path) is DataPath and path.shout() == "A/B.TXT" and host in net and ident.version == 5
    assert url.query == "q=1" and url._replace(path="/z").geturl() == "http://h/z?q=1"
    """,
)

STANDARD.case(
    "random_instances",
    """
    import random
    dice = random.Random(3)
    class Loaded(random.Random):
        def random(self):
            return 0.5
    # %%
    first = dice.random(); dice.gauss(0, 1); loaded = Loaded()
    shared = [dice]
    """,
    """
    same = random.Random(3); same.random(); same.gauss(0, 1)
    assert shared[0] is dice and dice.gauss(0, 1) == same.gauss(0, 1) and dice.random() == same.random()
    assert loaded.random() == 0.5 and type(loaded) is Loaded
    """,
)

STANDARD.case(
    "exceptions_that_are_kept",
    """
    def parse(text):
        try:
            return int(text)
        except ValueError as error:
            raise RuntimeError("cannot parse") from error
    # %%
    try:
        parse("x")
    except RuntimeError as error:
        kept = error
        kept.add_note("seen")
    # %%
    try:
        {}["missing"]
    except KeyError as error:
        pairs = [(kept, error)]
    """,
    """
    import traceback
    text = "".join(traceback.format_exception(kept))
    assert type(kept.__cause__) is ValueError and "direct cause" in text and "in parse" in text and "seen" in text
    assert "return int(text)" in text and pairs[0][0] is kept and pairs[0][1].args == ("missing",)
    assert kept.__traceback__.tb_next.tb_lineno == 5
    """,
)

STANDARD.case(
    "exception_with_odd_arguments",
    """
    import json, subprocess, urllib.error
    caught = []
    def catch(fn):
        try:
            fn()
        except Exception as error:
            caught.append(error)
    # %%
    catch(lambda: json.loads("{")); catch(lambda: b"\\xff".decode()); catch(lambda: open("none"))
    catch(lambda: subprocess.run(["false"], check=True))
    # %%
    caught.append(OSError(2, "No such", "name")); caught.append(StopIteration(5))
    caught.append(urllib.error.HTTPError("u", 404, "gone", {}, None))
    """,
    """
    decode, unicode_, missing, failed = caught[:4]
    assert decode.pos == 1 and decode.doc == "{" and unicode_.start == 0
    assert missing.filename == "none" and missing.errno == 2
    assert failed.returncode == 1 and failed.cmd == ["false"]
    assert caught[4].filename == "name" and caught[5].value == 5 and caught[6].code == 404
    """,
)

STANDARD.case(
    "types_of_the_language",
    """
    import types, typing
    proxy_of = {"a": 1}; view = types.MappingProxyType(proxy_of)
    keys = proxy_of.keys(); items = proxy_of.items()
    kinds = [int, type(None), type(...), types.FunctionType, list[int], dict[str, "int"], typing.Optional[int]]
    kinds += [int | str, type(proxy_of.keys())]
    # %%
    proxy_of["b"] = 2
    space = types.SimpleNamespace(inner=types.SimpleNamespace(v=[1])); cell = types.CellType(5)
    # %%
    space.inner.v.append(2); rng = range(0, 10, 3); cut = slice(None, 5)
    """,
    """
    assert view["b"] == 2 and list(keys) == ["a", "b"] and ("b", 2) in items and space.inner.v == [1, 2]
    assert kinds[:4] == [int, type(None), type(...), types.FunctionType] and kinds[4] == list[int]
    assert kinds[7] == int | str
    assert cell.cell_contents == 5 and rng[1] == 3 and cut.stop == 5
    proxy_of["c"] = 3
    assert "c" in view and "c" in keys
    """,
)

STANDARD.case(
    "sentinels",
    """
    import dataclasses
    MISSING = object()
    table = {"a": MISSING, "b": 1}
    class Unset:
        def __repr__(self):
            return "UNSET"
    UNSET = Unset()
    # %%
    def get(k, default=MISSING):
        return "none" if default is MISSING else default
    def ask(v=UNSET):
        return v is UNSET
    values = [None, NotImplemented, Ellipsis, dataclasses.MISSING, UNSET]
    """,
    """
    assert get("x") == "none" and get("x", 1) == 1 and table["a"] is MISSING and ask() and values[-1] is UNSET
    assert values[1] is NotImplemented and values[3] is dataclasses.MISSING
    """,
)

STANDARD.case(
    "trees_of_xml_and_ast",
    """
    import ast
    import xml.etree.ElementTree as ET
    root = ET.fromstring("<a><b k='1'>x</b><c/></a>"); b = root.find("b")
    tree = ast.parse("x = 1 + 2")
    # %%
    b.set("k", "2"); ET.SubElement(root, "d").text = "new"
    tree.body[0].value.right.value = 5
    """,
    """
    assert root.find("b") is b and ET.tostring(root) == b'<a><b k="2">x</b><c /><d>new</d></a>'
    assert ast.unparse(tree) == "x = 1 + 5"
    """,
)

STANDARD.case(
    "hashes_and_compressors",
    """
    import hashlib, zlib
    digest = hashlib.sha256(b"a")
    packer = zlib.compressobj()
    # %%
    digest.update(b"b")
    done = hashlib.md5(b"x").hexdigest(); crc = zlib.crc32(b"x")
    """,
    """
    assert digest.hexdigest() == hashlib.sha256(b"ab").hexdigest() and packer.compress(b"x") is not None
    """,
    lost=["digest", "packer"],
    still="assert done == hashlib.md5(b'x').hexdigest() and crc == zlib.crc32(b'x')",
)

STANDARD.case(
    "csv_and_config",
    """
    import argparse, configparser, csv, io, string
    out = io.StringIO(); writer = csv.writer(out)
    config = configparser.ConfigParser(); config.read_string("[a]\\nk = 1")
    # %%
    writer.writerow([1, 2]); config["a"]["k"] = "2"
    template = string.Template("$a"); parser = argparse.ArgumentParser(prog="p")
    parser.add_argument("--n", type=int)
    """,
    """
    assert out.getvalue() == "1,2\\r\\n" and config["a"].getint("k") == 2 and template.substitute(a=1) == "1"
    assert parser.parse_args(["--n", "3"]).n == 3
    writer.writerow([3])
    assert out.getvalue().endswith("3\\r\\n")
    """,
    lost=["writer"],
    still="""
    assert out.getvalue() == "1,2\\r\\n" and config["a"].getint("k") == 2 and parser.parse_args(["--n", "3"]).n == 3
    """,
)

STANDARD.case(
    "last_values",
    """
    _ = [1, 2]; __ = _
    # %%
    _.append(3); _x = 5; __private = {"k": _}
    # %%
    del _x
    """,
    """
    assert _ == [1, 2, 3] and __ is _ and __private["k"] is _ and "_x" not in globals()
    """,
)

STANDARD.case(
    "names_that_come_and_go",
    """
    a = [1]; b = a; c = {"a": a}; from math import *
    # %%
    del a
    # %%
    pi = 3; b.append(2); a = "again"
    # %%
    list = [5]; print = len
    # %%
    del list
    for i in range(3): pass
    """,
    """
    assert a == "again" and b is c["a"] and b == [1, 2] and pi == 3 and list("ab") == ["a", "b"] and print("abc") == 3
    assert sin(0) == 0 and i == 2
    """,
)
