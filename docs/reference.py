"""Pages that are made from the code: the options of every command, and the fields of a report."""

import contextlib
import io
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from runner.cli.arguments import VERBS, parse
from runner.report import json_schema


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, text in (("commands.md", commands()), ("report-json.md", fields())):
        files.append(File.generated(config, name, content=text))
    return files


def commands() -> str:
    """Return the help of every command."""
    parts = ["# Commands and options", "", "This page is made from the program."]
    for verb in VERBS:
        parts += ["", f"## {verb}", "", "```text", help_of(verb).strip(), "```"]
    return "\n".join(parts) + "\n"


def help_of(verb: str) -> str:
    """Return what ``VERB --help`` prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        parse([verb, "--help"])
    return text.getvalue()


def fields() -> str:
    """Return every field of report.json with what it means."""
    schema: Any = json_schema()
    parts = ["# report.json", "", "This page is made from `report.schema.json`.", ""]
    for name, kind in (("the document", schema), *schema["$defs"].items()):
        parts += [f"## {name}", "", kind["description"].replace("``", "`"), ""]
        parts += ["| field | type |", "|---|---|"]
        parts += [f"| `{field}` | {type_of(of)} |" for field, of in kind["properties"].items()]
        parts.append("")
    return "\n".join(parts)


def type_of(field: Any) -> str:
    """Return the type of a field in words."""
    if "$ref" in field:
        return f"[{field['$ref'].rsplit('/')[-1]}](#{field['$ref'].rsplit('/')[-1].lower()})"
    if "anyOf" in field:
        return " or ".join(type_of(one) for one in field["anyOf"])
    match field.get("type"):
        case "array":
            return f"list of {type_of(field['items'])}" if "items" in field else "list"
        case "object":
            return f"mapping to {type_of(field['additionalProperties'])}"
        case other:
            return str(other)
