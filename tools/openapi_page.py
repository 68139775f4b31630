"""docs/openapi.yaml as a page: routes, parameters, bodies, statuses and schemas, in Markdown. Nothing is loaded from elsewhere."""
import re

METHODS = ("get", "post", "put", "patch", "delete")
LIMITS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties", "pattern", "format", "const", "enum")


def cell(text):
    """One line that stands in a table."""
    return re.sub(r"\s+", " ", str(text)).strip().replace("|", "\\|")


def slug(text):
    """The anchor of one of this page's headings."""
    return re.sub(r"[^\w-]+", "-", text).strip("-").lower()


class Page:
    """The text of one document, as it grows."""

    def __init__(self, document):
        self.document = document
        self.lines = []

    def add(self, *lines):
        """Paragraphs, or rows of a table."""
        self.lines += lines

    def heading(self, level, text):
        """A heading with an anchor that doesn't depend on the generator."""
        self.add("", f'<a id="{slug(text)}"></a>', "", f"{'#' * level} {text}", "")

    def resolve(self, item):
        """What a $ref stands for, or the item itself."""
        while "$ref" in item:
            part = self.document
            for name in item["$ref"].removeprefix("#/").split("/"):
                part = part[name]
            item = part
        return item

    def type_of(self, schema):
        """A schema in a few words; one with a name as a link to its section."""
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[1]
            return f"[{name}](#{slug('schema ' + name)})"
        for key, word in (("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")):
            if key in schema:
                return word.join(self.type_of(part) for part in schema[key])
        kind = schema.get("type", "")
        kind = " or ".join(kind) if isinstance(kind, list) else kind
        if "items" in schema:
            kind = f"list of {self.type_of(schema['items'])}"
        limits = [f"{name} {cell(schema[name])}" for name in LIMITS if name in schema]
        return ", ".join(filter(None, [kind, *(f"`{limit}`" for limit in limits)])) or "anything"

    def schema(self, schema):
        """The properties of an object, or what else it is."""
        if schema.get("description"):
            self.add(cell(schema["description"]), "")
        for part in schema.get("allOf", []):
            if "$ref" in part:
                self.add(f"All of {self.type_of(part)}, and:", "")
            else:
                self.schema(part)
        if "properties" not in schema:
            if "allOf" not in schema:
                self.add(self.type_of(schema), "")
            return
        self.add("| member | | what it is |", "|---|---|---|")
        for name, member in schema["properties"].items():
            needed = "required" if name in schema.get("required", []) else ""
            about = cell(self.resolve(member).get("description", "")) if "$ref" not in member else ""
            self.add(f"| `{name}` | {needed} | {self.type_of(member)}{'; ' + about if about else ''} |")
        self.add("")

    def body(self, title, content):
        """The media types of a request."""
        for kind, media in content.items():
            self.add(f"{title} (`{kind}`):", "")
            schema = media.get("schema", {})
            if "$ref" in schema:
                self.add(self.type_of(schema), "")
            else:
                self.schema(schema)

    def operation(self, method, path, operation):
        """One route."""
        self.heading(3, f"{method.upper()} {path}")
        self.add(f"{cell(operation['summary'])}. Scope: `{operation['x-scope']}`.", "")
        for server in operation.get("servers", []):
            self.add(f"At `{server['url']}`: {cell(server['description'])}.", "")
        if operation.get("description"):
            self.add(cell(operation["description"]), "")
        parameters = [self.resolve(p) for p in operation.get("parameters", [])]
        if parameters:
            self.add("| parameter | in | what it is |", "|---|---|---|")
            self.add(*(f"| `{p['name']}` | {p['in']} | {self.type_of(p['schema'])} {cell(p.get('description', ''))} |" for p in parameters), "")
        if "requestBody" in operation:
            self.body("Body", self.resolve(operation["requestBody"])["content"])
        self.responses(operation["responses"])

    def responses(self, responses):
        """What an answer can be, by status."""
        self.add("| status | what it says | body |", "|---|---|---|")
        for status, answer in responses.items():
            answer = self.resolve(answer)
            kinds = [f"{self.type_of(media.get('schema', {}))} (`{kind}`)" for kind, media in answer.get("content", {}).items()]
            self.add(f"| {status} | {cell(answer['description'])} | {', '.join(kinds)} |")
        self.add("")


def openapi_page(document):
    """The whole page."""
    page = Page(document)
    page.add(f"# {document['info']['title']}", "", cell(document["info"]["description"]), "", "## Servers", "")
    page.add(*(f"- `{server['url']}`: {cell(server['description'])}" for server in document["servers"]), "", "## Routes", "")
    if "x-any-route" in document:
        page.heading(3, "Any route")
        page.add("What each route may answer beside what stands with it.", "")
        page.responses(document["x-any-route"])
    for path, item in document["paths"].items():
        shared = {"servers": item.get("servers", [])}
        for method in METHODS:
            if method in item:
                parameters = [*item.get("parameters", []), *item[method].get("parameters", [])]
                page.operation(method, path, {**shared, **item[method], "parameters": parameters})
    page.add("## Schemas", "")
    for name, schema in document["components"]["schemas"].items():
        page.heading(3, f"Schema {name}")
        page.schema(schema)
    return "\n".join(page.lines) + "\n"
