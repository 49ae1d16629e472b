"""Chat templates, in files of their own and in settings of a tokenizer."""

from __future__ import annotations

import json

from hostile.containers import Files, named, numbered


def template_seeds() -> Files:
    from scan.chat_templates import CODE, CONTENT, DATE, DIALOGUE, HONEST, INVISIBLE

    texts = [*HONEST.values(), *CODE.values(), *CONTENT.values(), *DIALOGUE.values(), *DATE.values()]
    named = [{"name": "default", "template": texts[0]}, {"name": "tool_use", "template": texts[1]}]
    return numbered([
        *(("chat_template.jinja", text.encode()) for text in [*texts, *INVISIBLE.values()]),
        *(("tokenizer_config.json", json.dumps({"chat_template": text}).encode()) for text in texts[:9]),
        ("tokenizer_config.json", json.dumps({"chat_template": named}).encode()),
        ("chat_template.json", json.dumps({"chat_template": texts[0]}).encode()),
    ])  # fmt: skip


def template_special() -> dict[str, Files]:
    head, tail = "{% for message in messages %}", "{{ message['content'] }}{% endfor %}"
    calls = {
        "a billion turns": "{% for i in range(1000000000) %}a{% endfor %}",
        "turns in turns": "{% for i in range(99999) %}" * 6 + "a" + "{% endfor %}" * 6,
        "many times a text": "{{ 'x' * 10000000000 }}",
        "times by times": "{% set x = 'x' * 99999 %}{% set y = x * 99999 %}{{ y * 9999 }}",
        "a list many times": "{{ [0] * 10000000000 }}",
        "powers": "{{ 9 ** 9 ** 9 ** 9 }}",
        "digits": "{{ " + "9" * 100_000 + " }}",
        "wide format": "{{ '%999999999999d' % 3 }}{{ '{:>9999999999}'.format(3) }}",
        "filters of width": "{{ 'a' | center(9999999999) }}{{ 'a' | indent(9999999999) }}",
        "doubling": "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "joins": "{{ (['a' * 9999] * 9999) | join('b' * 99999) }}",
        "batches": "{{ range(99999) | batch(1) | list | string }}",
        "a macro of itself": "{% macro a(n) %}{{ a(n) }}{{ a(n) }}{% endmacro %}{{ a(1) }}",
        "a self reference": "{% block a %}{{ self.a() }}{% endblock %}",
        "include": "{% include 'x' %}{% import 'y' as y %}{% extends 'z' %}",
        "brackets": "{{ " + "(" * 5000 + ")" * 5000 + " }}",
        "minus": "{{ " + "-" * 100_000 + "1 }}",
        "not": "{{ " + "not " * 50_000 + "1 }}",
        "pluses": "{{ " + "+".join("a" * 50_000) + " }}",
        "attributes": "{{ a" + ".b" * 50_000 + " }}",
        "ifs": "{% if a %}" * 3000 + "{% endif %}" * 3000,
        "branches": "".join(f"{{% if messages[0]['content'] == '{i}' %}}{i}{{% endif %}}" for i in range(3000)),
        "loops": (head + tail) * 3000,
        "open": "{{",
        "open words": "{% for" * 50_000,
        "open comment": "{#" + "a" * 1_000_000,
        "raw": "{% raw %}" * 50_000,
        "line of blanks": " " * 5_000_000 + "{{ messages }}",
        "surrogates": "{{ '\\ud800' }}{{ messages }}",
        "nul": "{{ messages }}\0\0",
        "dialogues of a regex": head + "{{ message.content.split('a')[0] | replace('', 'b' * 9999) }}{% endfor %}",
        "raise": "{{ raise_exception('a' * 99999999) }}",
        "sort of itself": "{% set x = [] %}{{ x.append(x) }}{{ x }}{{ x | string }}{{ x | tojson }}",
        "recursive loop": "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    }
    return named({name: text.encode() for name, text in calls.items()}, "chat_template.jinja")
