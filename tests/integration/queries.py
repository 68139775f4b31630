"""What metrics there are, with their labels and what may stand in these, and what a query of Prometheus names."""
import functools
import re

from daemon import SOURCE_DIR

# Labels that Prometheus adds, and a histogram's.
ADDED = {"job", "instance", "le"}
ROUTE_LABELS = {"way", "from", "to"}


def _source(path):
    return (SOURCE_DIR / path).read_text()


@functools.cache
def documented():
    """{metric: its labels} of docs/metrics.md, Web3Signer's names too, and of `enclave proxy` in docs/enclave-network.md."""
    page = _source("docs/metrics.md")
    own = {name: set(labels.replace(" ", "").split(",")) - {""} for name, labels in re.findall(r"^\| `(\w+)` \| \w+ \| ([\w, ]*)\| \w+ \| ", page, re.M)}
    others = {name: set() for name, _ in re.findall(r"^\| `(\w+)` \| (\w+) \| `", page, re.M)}
    return {**own, **others, **of_proxy()}


@functools.cache
def of_proxy():
    """{metric: its labels} of `enclave proxy`."""
    rows = re.findall(r"^\| (`containment_forward_.*?) \| (.*) \|$", _source("docs/enclave-network.md"), re.M)
    return {name: ROUTE_LABELS | ({"direction"} if "`direction`" in text else set()) for names, text in rows for name in re.findall(r"`(\w+)`", names)}


def _rows(path, macro):
    """The first argument of each row of a table."""
    return set(re.findall(rf"^{macro}\((\w+),", _source(path), re.M))


def _array(code, name):
    """The strings of an array."""
    return set(re.findall(r'"([^"]*)"', re.search(rf"\b{name}\[\] = {{(.*?)}};", code, re.S)[1]))


@functools.cache
def values():
    """{label: all that may stand there} of the closed sets of src/base/metric.def; those that metric.c does not name come from the tables of the layers above."""
    code = _source("src/base/metric.c")
    sets = {label: names for label, names in re.findall(r'^L\(\w+, +"(\w+)", +\d+, (\w+)\)', _source("src/base/metric.def"), re.M)}
    tables = {"operation": _rows("src/eth/kind.def", "K") | {"UNKNOWN"}, "rule": _rows("src/slash/rule.def", "R"), "route": _rows("src/front/route.def", "R"),
              "version": {re.search(r"^project\(\S+ VERSION (\S+) ", _source("CMakeLists.txt"), re.M)[1]}}
    return {label: tables[label] if label in tables else _array(code, names) for label, names in sets.items()}


@functools.cache
def bounds():
    """{metric: the upper bounds of its buckets}, as `le` has them."""
    code = _source("src/base/metric.c")
    rows = re.findall(r'^M\(\w+, +(DURATION|SIZE), .*?"(containment_\w+)"', _source("src/base/metric.def"), re.M)
    return {name: _array(code, {"DURATION": "duration_texts", "SIZE": "size_texts"}[kind]) for kind, name in rows}


def selectors(expr):
    """(metric, [(label, operator, value)]) of each selector."""
    for name, inside in re.findall(r"\b((?:containment|eth2|signing|http|process)_\w+|up)\b(?![:(])(?:\{([^}]*)\})?", expr):
        yield re.sub(r"_(bucket|sum|count)$", "", name), re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"', inside)


def is_there(operator, value, there):
    """Whether each alternative of a matcher stands for one of the names that there are."""
    alternatives = value.split("|") if operator.endswith("~") else [re.escape(value)]
    return all(any(re.fullmatch(one, name) for name in there) for one in alternatives)
