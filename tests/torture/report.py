"""Writes what a run found into the tables of docs/reliability.md."""
import collections
import pathlib
import statistics

BEGIN, END = "<!-- begin: {} -->", "<!-- end: {} -->"


def table(head, rows):
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def number(value):
    """With separators."""
    return f"{value:,}"


def seconds(values):
    """The one in the middle, and the slowest; some may be None: never."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "never", "never"
    return f"{statistics.median(known):.2f}", f"{max(known):.2f}"


def by_system(played, about):
    """What each system went through."""
    rows = []
    for name in dict.fromkeys(part["system"] for part in played):
        parts = [part for part in played if part["system"] == name]
        counts = sum((part["counts"] for part in parts), collections.Counter())
        rows.append([
            f"**{name}**: {about[name]}", len(parts), f"{sum(part['seconds'] for part in parts) / 60:.1f}",
            number(counts["ok"]), number(counts["refused"]), number(counts["unknown"]),
            number(sum(part["released"] for part in parts)), sum(sum(part["struck"].values()) for part in parts),
            sum(len(part["violations"]) for part in parts)])
    return table(["system", "rounds", "minutes", "signed", "refused", "no answer", "different messages", "faults",
                  "violations"], rows)


def by_fault(played):
    """Each fault, what is promised about it, and how soon each signer signed again."""
    struck, healed, promises = collections.Counter(), collections.defaultdict(list), {}
    for part in played:
        struck.update(part["struck"])
        promises.update(part["promises"])
        for name, values in part["healed"].items():
            healed[name] += values
    rows = [[name, struck[name], *seconds(healed[name]), promises[name]] for name in sorted(struck)]
    return table(["fault", "times", "seconds until signing, median", "slowest", "what is promised"], rows)


def by_broken(found):
    """Each broken signer."""
    rows = [[row["name"].replace("_", " "), row["system"], ", ".join(row["faults"]) or "none",
             ", ".join(row["kinds"]) if row["found"] else "**not found**", f"{row['seconds']:.0f}"] for row in found]
    return table(["broken signer", "system", "faults", "found as", "seconds, start included"], rows)


def replace(text, name, content):
    """Between the page's marks."""
    begin, end = BEGIN.format(name), END.format(name)
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"


def write(page, played, found, about):
    """Every table of the page, from one run."""
    path = pathlib.Path(page)
    text = path.read_text()
    seeds = f"{played[0]['seed']} to {played[-1]['seed']}"
    run = f"{sum(part['seconds'] for part in played) / 60:.0f} minutes in {len(played)} rounds, seeds {seeds}."
    for name, content in (("run", run), ("systems", by_system(played, about)), ("faults", by_fault(played)),
                          ("broken", by_broken(found))):
        text = replace(text, name, content)
    path.write_text(text)
