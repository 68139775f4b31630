"""Plots as plain SVG, without a library: lines over a linear or logarithmic axis, and grouped bars. Colours follow the reader's
light or dark theme."""
import math

COLOURS = ["#1f77b4", "#d9730d", "#2a9d5c", "#b0529c", "#8a7a00", "#5a6b7b"]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 70, 20, 46, 80
STYLE = """<style>
 .back{fill:#ffffff} .grid{stroke:#d8dee4;stroke-width:1} .axis{stroke:#57606a;stroke-width:1}
 text{fill:#1f2328;font:12px sans-serif} .title{font-size:15px;font-weight:bold}
 @media (prefers-color-scheme: dark){
  .back{fill:#0d1117} .grid{stroke:#30363d} .axis{stroke:#8b949e} text{fill:#e6edf3}
 }
</style>"""


def escape(text):
    """Text for XML."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def short(value):
    """12000 as 12k."""
    if value >= 1000:
        return f"{value / 1000:g}k"
    return f"{value:g}"


class Axis:
    """From values to pixels."""

    def __init__(self, low, high, first, last, log=False):
        self.log = log
        self.low, self.high = (math.log10(low), math.log10(high)) if log else (low, high)
        self.first, self.last = first, last

    def at(self, value):
        """The pixel of a value."""
        where = math.log10(max(value, 1e-9)) if self.log else value
        share = (where - self.low) / ((self.high - self.low) or 1)
        return self.first + share * (self.last - self.first)


def nice_steps(high, count=5):
    """Round numbers from 0 to at least `high`."""
    rough = high / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    return [step * i for i in range(math.ceil(high / step - 1e-9) + 1)]


def frame(title, x_label, y_label):
    """The beginning of a plot."""
    middle = (LEFT + WIDTH - RIGHT) / 2
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">',
        STYLE,
        f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{middle}" y="22" text-anchor="middle">{escape(title)}</text>',
        f'<text x="{middle}" y="{HEIGHT - BOTTOM + 36}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text transform="translate(16,{(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>',
    ]


def grid(y_axis, steps):
    """Horizontal lines with their values."""
    for value in steps:
        y = y_axis.at(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{short(value)}</text>'


def legend(names):
    """Names and colours below the plot."""
    x, y = LEFT, HEIGHT - 16
    for number, name in enumerate(names):
        colour = COLOURS[number % len(COLOURS)]
        yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{x + 18}" y="{y}">{escape(name)}</text>'
        x += 34 + 7 * len(name)


def lines(path, title, x_label, y_label, series, *, x_ticks, log_y=False, y_low=0):
    """`series`: {name: [(x, y), ...]}; x is logarithmic; `x_ticks`: [(value, text), ...]."""
    points = [p for values in series.values() for p in values]
    top = max(y for _, y in points)
    x_axis = Axis(min(x for x, _ in x_ticks), max(x for x, _ in x_ticks), LEFT + 10, WIDTH - RIGHT - 10, log=True)
    if log_y:
        steps = [10**e for e in range(math.floor(math.log10(min(y for _, y in points))), math.ceil(math.log10(top)) + 1)]
        y_axis = Axis(steps[0], steps[-1], HEIGHT - BOTTOM, TOP, log=True)
    else:
        steps = nice_steps(top)
        y_axis = Axis(y_low, steps[-1], HEIGHT - BOTTOM, TOP)
    out = frame(title, x_label, y_label) + list(grid(y_axis, steps))
    for value, text in x_ticks:
        x = x_axis.at(value)
        out.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 5}"/>')
        out.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(text)}</text>')
    for number, values in enumerate(series.values()):
        colour = COLOURS[number % len(COLOURS)]
        where = " ".join(f"{x_axis.at(x):.1f},{y_axis.at(y):.1f}" for x, y in values)
        out.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{where}"/>')
        if len(values) <= 16:
            out += [f'<circle cx="{x_axis.at(x):.1f}" cy="{y_axis.at(y):.1f}" r="3" fill="{colour}"/>' for x, y in values]
    out += [*legend(series), "</svg>"]
    path.write_text("\n".join(out) + "\n")


def bars(path, title, y_label, groups, names, *, stacked=False):
    """`groups`: {label: [value of each name]}; a value None leaves its place empty."""
    top = max(sum(v or 0 for v in values) if stacked else max(v or 0 for v in values) for values in groups.values())
    steps = nice_steps(top)
    y_axis = Axis(0, steps[-1], HEIGHT - BOTTOM, TOP)
    out = frame(title, "", y_label) + list(grid(y_axis, steps))
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    for place, (label, values) in enumerate(groups.items()):
        left = LEFT + place * room + room * 0.12
        width = room * 0.76 / (1 if stacked else len(names))
        base = 0
        for number, value in enumerate(values):
            if value is None:
                continue
            x = left if stacked else left + number * width
            low, high = y_axis.at(base), y_axis.at(base + value)
            colour = COLOURS[number % len(COLOURS)]
            out.append(f'<rect x="{x:.1f}" y="{high:.1f}" width="{width * 0.94:.1f}" height="{low - high:.1f}" fill="{colour}"/>')
            if not stacked:
                out.append(f'<text x="{x + width / 2:.1f}" y="{high - 4:.1f}" text-anchor="middle">{value:.2f}</text>')
            base += value if stacked else 0
        out.append(f'<text x="{LEFT + (place + 0.5) * room:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(label)}</text>')
    out += [*legend(names), "</svg>"]
    path.write_text("\n".join(out) + "\n")
