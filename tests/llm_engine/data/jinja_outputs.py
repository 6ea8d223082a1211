#!/usr/bin/env python3
"""Writes into jinja.json beside this file what jinja2, set up as Hugging Face's transformers does, makes of each of its
templates: "output", or "error" where it refuses. Needs jinja2.

    tests/llm_engine/data/jinja_outputs.py
"""
import json
from pathlib import Path

import jinja2
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

DATA = Path(__file__).with_name("jinja.json")


class Generation(Extension):
    """The tag that marks the model's own turns for training."""
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def raise_exception(message):
    raise jinja2.TemplateError(message)


def main():
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols", "jinja2.ext.do"])
    environment.globals["raise_exception"] = raise_exception
    frozen = json.loads(DATA.read_text(encoding="utf-8"))
    for case in frozen["cases"]:
        case.pop("output", None)
        case.pop("error", None)
        try:
            case["output"] = environment.from_string(case["template"]).render(**frozen["variables"])
        except (jinja2.TemplateError, TypeError) as error:
            case["error"] = type(error).__name__
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in frozen["cases"])
    DATA.write_text('{"variables": %s,\n"cases": [\n%s\n]}\n' % (json.dumps(frozen["variables"], ensure_ascii=False),
                                                               lines), encoding="utf-8")


if __name__ == "__main__":
    main()
