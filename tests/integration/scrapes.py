"""Two scrapes of a real server, some activity apart, as promtool's input series: what came in between comes each minute from then on."""
import re

import yaml
from daemon import SOURCE_DIR

RULES = SOURCE_DIR / "deploy/prometheus/containment-chamber.rules.yaml"
JOB = 'job="containment-chamber",instance="real"'
# promtool's clock begins in 1970: so many minutes before the first scrape, for what was before it.
BEFORE = 120
MINUTES = 40


class Scrape:
    """A page, and when it was got (seconds since 1970)."""

    def __init__(self, page, at):
        self.page, self.at = page, at
        self.types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", page, re.M))
        self.times = set(re.findall(r"^# HELP (\w+) .*in seconds since 1970", page, re.M))
        self.values = {(name, labels): float(value) for name, labels, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", page, re.M)}

    def value(self, name, labels=""):
        return self.values.get((name, labels))


def _number(value):
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _counter(before, after):
    """One that is not there yet appears; one that began anew goes on from there."""
    if before is None:
        return f"_ {_number(after)}+{_number(after)}x{MINUTES - 1}"
    return f"{_number(before)}+{_number(max(0, after - before))}x{MINUTES}"


def _time(before, after, first, second):
    """What has just happened happens each minute; what did not stays where it was."""
    if not after:
        return f"0x{MINUTES}"
    if before == after:
        return f"{_number(after - first.at + 60 * BEFORE)}x{MINUTES}"
    return f"{_number(after - second.at + 60 * BEFORE)}+60x{MINUTES}"


def input_series(first, second, job=JOB):
    """Rows for promtool."""
    rows = [{"series": f"up{{{job}}}", "values": f"_x{BEFORE} 1x{MINUTES}"}]
    for (name, labels), after in second.values.items():
        before = first.value(name, labels)
        family = name if name in second.types else re.sub(r"_(bucket|sum|count)$", "", name)
        if second.types[family] != "gauge":
            values = _counter(before, after)
        elif name in second.times:
            values = _time(before, after, first, second)
        else:
            values = f"{_number(after if before is None else before)} {_number(after)}x{MINUTES - 1}"
        rows.append({"series": f"{name}{{{','.join(filter(None, (job, labels)))}}}", "values": f"_x{BEFORE} {values}"})
    return rows


def unit_test(name, rows, fires, *, left_out=()):
    """The rules over these rows, half an hour on: `fires` and no other, but for those that are left out, which may."""
    selector = f'alertstate="firing",alertname!~"{"|".join(left_out)}"'
    return {"name": name, "interval": "1m", "input_series": rows, "promql_expr_test": [{
        "expr": f"group by (alertname) (ALERTS{{{selector}}})", "eval_time": f"{BEFORE + 30}m",
        "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(fires)]}]}


def write(path, tests):
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    return path
